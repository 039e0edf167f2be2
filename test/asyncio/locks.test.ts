/** Lock, Event, Condition, Semaphore and Barrier: the named cases. */
import { declareCases } from "../conformance/asyncio/cases/declare.ts";

declareCases("locks");
