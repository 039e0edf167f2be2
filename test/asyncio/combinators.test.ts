/** gather, wait, waitFor, asCompleted and shield: the named cases. */
import { declareCases } from "../conformance/asyncio/cases/declare.ts";

declareCases("combinators");
