"""Programs over context variables, as random-programs.ts makes them: the Python side of their interpreter."""


class Boom(Exception):
    """What a program raises itself."""


def run_program(defaults, ops):
    """Runs the program in an empty Context and returns what it saw."""
    variables = [
        ContextVar(f"v{i}") if default is None else ContextVar(f"v{i}", default=default)
        for i, default in enumerate(defaults)
    ]
    contexts = [Context()]
    tokens = []
    trace = []

    def number(variable):
        return variables.index(variable)

    def old(token):
        return "MISSING" if token.old_value is Token.MISSING else token.old_value

    def run_all(ops, boom):
        for op in ops:
            trace.append([op[0], outcome(step, *op)])
        if boom:
            raise Boom

    def step(name, *args):
        match name:
            case "set":
                tokens.append(variables[args[0]].set(args[1]))
                return old(tokens[-1])
            case "setAll":
                for variable in variables:
                    tokens.append(variable.set(args[0]))
                return len(copy_context())
            case "get":
                return variables[args[0]].get()
            case "getOr":
                return variables[args[0]].get(args[1])
            case "reset":
                if not tokens:
                    return "no token"
                return variables[args[0]].reset(tokens[args[1] % len(tokens)])
            case "resetOwn":
                if not tokens:
                    return "no token"
                token = tokens[args[0] % len(tokens)]
                return token.var.reset(token)
            case "token":
                if not tokens:
                    return "no token"
                token = tokens[args[0] % len(tokens)]
                return [number(token.var), old(token), " used " in repr(token)]
            case "block":
                with variables[args[0]].set(args[1]) as token:
                    tokens.append(token)
                    run_all(args[2], args[3])
                return "left"
            case "new":
                contexts.append(Context())
                return len(contexts[-1])
            case "copyCurrent":
                contexts.append(copy_context())
                return len(contexts[-1])
        ctx = contexts[args[0] % len(contexts)]
        match name:
            case "copy":
                contexts.append(ctx.copy())
                return ctx == contexts[-1]
            case "run":
                return ctx.run(run_all, args[1], args[2])
            case "ctxGet":
                return ctx.get(variables[args[1]])
            case "ctxGetOr":
                return ctx.get(variables[args[1]], args[2])
            case "item":
                return ctx[variables[args[1]]]
            case "has":
                return variables[args[1]] in ctx
            case "size":
                return len(ctx)
            case "items":
                return sorted([number(variable), value] for variable, value in ctx.items())
            case "keys":
                return sorted(number(variable) for variable in ctx)
            case "equals":
                return ctx == contexts[args[1] % len(contexts)]
        raise AssertionError(name)

    Context().run(run_all, ops, False)
    return trace
