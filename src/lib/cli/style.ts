import { styleText } from "node:util";

/** The part of an output stream that decides how text looks on it. */
export interface StyledStream {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  /** Takes NO_COLOR, FORCE_COLOR and TERM into account. */
  hasColors?(): boolean;
}

const FORMATS = ["bold", "dim", "red", "yellow", "green", "cyan"] as const;
type Paint = (text: string) => string;
type Paints = Readonly<Record<(typeof FORMATS)[number], Paint>>;

/** The look of text on an output stream. */
export interface Style extends Paints {
  /** Characters of a line. Infinity: text is not wrapped, so that each finding stays one line for grep. */
  readonly width: number;
  readonly isTTY: boolean;
  readonly hasColors: boolean;
}

/** Lines longer than this are hard to read. */
const MAX_WIDTH = 120;
const MIN_WIDTH = 40;
/** The width of a terminal that doesn't tell its own. */
const USUAL_WIDTH = 80;

/** Returns the style of a stream. A pipe or a file gets neither colours nor line breaks. */
export function styleOf(stream: StyledStream): Style {
  const { isTTY = false, columns } = stream;
  const hasColors = isTTY && stream.hasColors?.() === true;
  const painter = (format: (typeof FORMATS)[number]): Paint =>
    // Each text ends its own colour. `validateStream` would ask standard output, which may be another stream.
    hasColors ? (text) => styleText(format, text, { validateStream: false }) : (text) => text;
  return {
    width: isTTY ? Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns || USUAL_WIDTH)) : Number.POSITIVE_INFINITY,
    isTTY,
    hasColors,
    ...(Object.fromEntries(FORMATS.map((format) => [format, painter(format)])) as Paints),
  };
}

/** Text for pipes, files and tests. */
export const PLAIN: Style = styleOf({});
/** Text with colours, whatever it is written to. */
export const COLOURED: Style = styleOf({ isTTY: true, hasColors: () => true });

/**
 * Breaks a text into lines at spaces. A longer word gets a line of its own, so that a link or a name can still be copied.
 *
 * @param width - characters of a line
 */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/**
 * Writes a text after a beginning, with its further lines indented to the same column.
 *
 * @param beginning - without colours
 * @param paint - colours a line of the text
 */
export function hanging(
  beginning: string,
  text: string,
  { width }: Style,
  paint: Paint = (line) => line,
  paintBeginning: Paint = (line) => line,
): string {
  const [first = "", ...rest] = wrapped(text, width - beginning.length);
  const indent = " ".repeat(beginning.length);
  return [paintBeginning(beginning) + paint(first), ...rest.map((line) => indent + paint(line))].join("\n");
}
