/** Parts of documents that are generated: a test compares them, and writes them if the process got `--update`. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "./paths.ts";

export const isUpdate: boolean = process.argv.includes("--update");

/** The part of the file that the expression matches; empty if it matches nothing. */
export function readPart(file: string, place: RegExp): string {
  return place.exec(readFileSync(join(packageRoot, file), "utf8"))?.[0] ?? "";
}

export function writePart(file: string, place: RegExp, text: string): void {
  const path = join(packageRoot, file);
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(place, () => text),
  );
}

/**
 * Declares a test that the part of the file is this text. With `--update`, the text is written first.
 *
 * @param file - Relative to the package.
 * @param place - Matches the part, and nothing around it.
 */
export function testGenerated(title: string, file: string, place: RegExp, text: string): void {
  test(title, () => {
    if (isUpdate) {
      writePart(file, place, text);
    }
    const lines = readPart(file, place).split("\n");
    const wanted = text.split("\n");
    const different = wanted.findIndex((line, index) => line !== lines[index]);
    // Only the first line that differs, because most parts are long.
    assert.equal(lines[different], wanted[different], `${file}: run this test's file with --update if that is meant`);
    assert.equal(lines.length, wanted.length);
  });
}
