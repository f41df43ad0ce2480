import { expect, test } from "vitest";
import { parseDotenv, soundsSecret } from "./dotenv";

const pairs = (text: string) => parseDotenv(text).pairs.map(({ name, value }) => [name, value]);

test("comments, blank lines, export and spaces are understood", () => {
  expect(pairs("# all\r\n\r\nexport A = one two  # why\nB=\nC=a#b\n")).toEqual([
    ["A", "one two"],
    ["B", ""],
    ["C", "a#b"],
  ]);
});

test("quotes keep what is between them", () => {
  expect(pairs(`A="x # y\\n\\"z\\""\nB='raw \\n'\nC="two\nlines"\nD=after`)).toEqual([
    ["A", 'x # y\n"z"'],
    ["B", "raw \\n"],
    ["C", "two\nlines"],
    ["D", "after"],
  ]);
});

test("a quote that nothing ends is a character like others", () => {
  expect(pairs(`A="open\nB=2`)).toEqual([
    ["A", '"open'],
    ["B", "2"],
  ]);
});

test("the last of equal names holds", () => {
  expect(pairs("A=1\nA=2")).toEqual([["A", "2"]]);
});

test("lines that say nothing are named", () => {
  expect(parseDotenv("A=1\nnonsense\n1B=2\n").unread).toEqual([2, 3]);
});

test("names of secrets are known by their sound", () => {
  expect(["STRIPE_SECRET", "API_KEY", "DATABASE_URL", "db_password"].every(soundsSecret)).toBe(true);
  expect(["LOG_LEVEL", "NODE_ENV", "PUBLIC_URL"].some(soundsSecret)).toBe(false);
});
