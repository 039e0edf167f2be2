/** createTask, cancel() and sleep: the named cases. */
import { declareCases } from "../conformance/asyncio/cases/declare.ts";

declareCases("tasks");
