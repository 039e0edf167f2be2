/**
 * Nest, on Express: each request runs in a Context of its own, so every middleware, guard, interceptor, handler and filter
 * finds the values of its request, and the values that one of them sets are seen by the next ones.
 *
 * `nest.mjs [PORT]`: serves until Ctrl-C.
 *
 * In TypeScript, `decorate()` is what `@Controller()`, `@Post("items/:id")` and `@Param("id")` write; this program runs
 * without a compiler.
 */
import "reflect-metadata";
import { AsyncResource } from "node:async_hooks";
import { setTimeout as pause } from "node:timers/promises";
import {
  Catch,
  Controller,
  HttpCode,
  Injectable,
  Module,
  Param,
  Post,
  UseGuards,
  UseInterceptors,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ContextVar, copyContext } from "contextvars";
import pino from "pino";
import { map } from "rxjs";

const requestId = new ContextVar("request id", { default: "-" });
const user = new ContextVar("user", { default: "nobody" });
// pino asks for these at each line.
const log = pino({ base: null, mixin: () => ({ requestId: requestId.get(), user: user.get() }) });

class Session {
  async canActivate(context) {
    const { body } = context.switchToHttp().getRequest();
    await pause(1); // looks the session up
    user.set(body?.user ?? "nobody");
    return true;
  }
}
decorate(Injectable(), Session);

class RequestIdOfAnswer {
  async intercept(_context, next) {
    await pause(1);
    return next.handle().pipe(map((answer) => ({ requestId: requestId.get(), ...answer })));
  }
}
decorate(Injectable(), RequestIdOfAnswer);

class Items {
  async create(id) {
    log.info("begins");
    await pause(Math.random() * 4);
    if (id.endsWith("9")) {
      throw new Error("no such item");
    }
    return { user: user.get() };
  }
}
decorate(Param("id"), Items.prototype, "create", 0);
decorate(Post("items/:id"), Items.prototype, "create");
decorate(HttpCode(200), Items.prototype, "create");
decorate(UseGuards(Session), Items);
decorate(UseInterceptors(RequestIdOfAnswer), Items);
decorate(Controller(), Items);

class AnyError {
  catch(error, host) {
    log.warn(error.message);
    const response = host.switchToHttp().getResponse();
    response.status(404).json({ requestId: requestId.get(), user: user.get(), error: error.message });
  }
}
decorate(Catch(), AnyError);

class Application {}
decorate(Module({ controllers: [Items] }), Application);

/** Applies a decorator to a class, to a method, or to a parameter of a method. */
function decorate(decorator, target, method, parameter) {
  decorator(target, method, parameter ?? (method && Object.getOwnPropertyDescriptor(target, method)));
}

const app = await NestFactory.create(Application, { logger: false });

// Stands before Nest's body parser, so before anything that waits.
app.use((request, response, next) => {
  // A copy, so that an active span stays active.
  copyContext().run(() => {
    requestId.set(request.get("x-request-id") ?? "-");
    // A listener runs wherever its event comes from; bound, it runs where it was made.
    response.on(
      "finish",
      AsyncResource.bind(() => log.info(`${request.method} ${request.url} ${response.statusCode}`)),
    );
    next();
  });
});

app.use(async (_request, _response, next) => {
  await pause(1);
  next();
});

app.useGlobalFilters(new AnyError());
await app.listen(Number(process.argv[2] ?? 0), "127.0.0.1");
process.stdout.write(`Serving on 127.0.0.1:${app.getHttpServer().address().port}\n`);
