import { parsers } from "prettier/plugins/yaml";

/** The content of a YAML document. Every scalar is a string. */
export type Yaml = string | undefined | Yaml[] | { [key: string]: Yaml };

interface Node {
  type: string;
  value?: string;
  children?: Node[];
}

/** Reads YAML without anchors and tags by the parser that formats it. @throws Error if the text is not YAML */
export function readYaml(text: string): Yaml {
  const root = parsers.yaml.parse(text, {} as never) as Node;
  return valueOf(root.children?.[0]?.children?.find(({ type }) => type === "documentBody"));
}

function valueOf(node: Node | undefined): Yaml {
  const children = node?.children ?? [];
  if (node?.type === "mapping" || node?.type === "flowMapping")
    return Object.fromEntries(children.map(({ children: [key, value] = [] }) => [scalarOf(key), valueOf(value)]));
  if (node?.type === "sequence" || node?.type === "flowSequence") return children.map(valueOf);
  return node?.value ?? (children.length === 0 ? undefined : valueOf(children[0]));
}

function scalarOf(key: Node | undefined): string {
  const name = valueOf(key);
  if (typeof name !== "string") throw new TypeError("a key of a mapping must be a scalar");
  return name;
}
