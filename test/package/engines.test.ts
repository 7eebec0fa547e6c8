import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../support/pages.ts";

type Version = [number, number, number];

/** The oldest Node that pgstore supports. */
const FLOOR: Version = [20, 19, 0];

const compare = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

/** Whether a version fulfils one condition of a range, such as `>=18`, `^20.9.0` or `20.x`. */
function fulfils(version: Version, condition: string): boolean {
  const [, operator = "", text = ""] = /^([<>=^~]*)\s*v?(.*)$/.exec(condition) ?? [];
  const parts = text.split(".").filter((part) => /^\d+/.test(part));
  if (parts.length === 0) return true;
  const [major = 0, minor = 0, patch = 0] = parts.map((part) => Number.parseInt(part, 10));
  const bound: Version = [major, minor, patch];
  const difference = compare(version, bound);
  const isSameMajor = version[0] === major;
  switch (operator) {
    case ">=":
      return difference >= 0;
    case ">":
      return difference > 0;
    case "<=":
      return difference <= 0;
    case "<":
      return difference < 0;
    case "^":
      return difference >= 0 && isSameMajor;
    case "~":
      return difference >= 0 && isSameMajor && (parts.length === 1 || version[1] === minor);
    default:
      return isSameMajor && (parts.length < 2 || version[1] === minor) && (parts.length < 3 || version[2] === patch);
  }
}

/** Whether a version is in a range as npm writes it: alternatives of conditions. */
function isIn(version: Version, range: string): boolean {
  return range.split("||").some((alternative) =>
    alternative
      .trim()
      .replaceAll(/([<>=^~]+)\s+/g, "$1")
      .split(/\s+/)
      .every((condition) => fulfils(version, condition)),
  );
}

describe("the lockfiles", () => {
  it.each(["package-lock.json", "docs/package-lock.json", "bench/package-lock.json"])(
    "%s has only packages that run on the oldest supported Node, so npm install prints no EBADENGINE",
    (file) => {
      const { packages } = JSON.parse(readFileSync(join(root, file), "utf8")) as {
        packages: Record<string, { engines?: { node?: string } }>;
      };
      const refusing = Object.entries(packages).filter(([, { engines }]) => !isIn(FLOOR, engines?.node ?? "*"));
      expect(refusing.map(([path, { engines }]) => `${path} needs ${engines?.node}`)).toEqual([]);
    },
  );

  it("would be refused with a package for a newer Node", () => {
    for (const range of [">=22", "^22.0.0 || >=24", "^18.17.0 || >=20.20", "18.x", ">=18 <20"]) {
      expect(isIn(FLOOR, range), range).toBe(false);
    }
    for (const range of [">= 18", "^18.0.0 || ^20.0.0", "^20.19.0 || >=22.12.0", "*", "20.x", ">=14 <21"]) {
      expect(isIn(FLOOR, range), range).toBe(true);
    }
  });
});
