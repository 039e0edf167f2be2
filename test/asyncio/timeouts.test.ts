/** timeout and timeoutAt: the named cases. */
import { declareCases } from "../conformance/asyncio/cases/declare.ts";

declareCases("timeouts");
