/**
 * What TypeDoc leaves out of the reference: the class in `@throws {ValueError} If ...`, and the comment on a property that
 * is shown as a class.
 */
import { Converter, ReflectionKind } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, takeComment);
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const { comment } of Object.values(project.reflections)) {
      if (comment !== undefined) {
        listErrors(comment);
      }
    }
  });
}

/**
 * TypeDoc looks for the comment of a class on declarations of classes only.
 *
 * @param {import("typedoc").Context} context
 * @param {import("typedoc").DeclarationReflection} reflection
 */
function takeComment(context, reflection) {
  const symbol = context.getSymbolFromReflection(reflection);
  if (reflection.kind === ReflectionKind.Class && reflection.comment === undefined && symbol !== undefined) {
    reflection.comment = context.getComment(symbol, ReflectionKind.Variable);
    reflection.comment?.removeModifier("@class");
  }
}

/**
 * One list of the errors, each with a link to the page of errors.
 *
 * @param {import("typedoc").Comment} comment
 */
function listErrors(comment) {
  const [first, ...others] = comment.getTags("@throws");
  if (first !== undefined) {
    first.content = [first, ...others].flatMap(itemFor);
    comment.blockTags = comment.blockTags.filter((tag) => !others.includes(tag));
  }
}

/**
 * @param {import("typedoc").CommentTag} tag
 * @returns {import("typedoc").CommentDisplayPart[]}
 */
function itemFor({ typeAnnotation, content }) {
  const name = typeAnnotation?.replaceAll(/[{}]/g, "");
  const error = name === undefined ? "" : `[\`${name}\`](/errors#${name.toLowerCase()}): `;
  return [{ kind: "text", text: `- ${error}` }, ...content, { kind: "text", text: "\n" }];
}
