import type pg from "pg";

/** A statement that was answered. */
export interface SeenStatement {
  text: string;
  /** From sending it to its answer, as the program sees it. */
  milliseconds: number;
}

type Query = (...args: unknown[]) => unknown;

/** Reports every statement on the connections that the pool opens from now on. */
export function watchStatements(pool: pg.Pool, seen: (statement: SeenStatement) => void): void {
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as Query;
    const watched: Query = (...args) => {
      const [first] = args as [string | { text: string }];
      const text = typeof first === "string" ? first : first.text;
      const start = performance.now();
      const done = (): void => seen({ text, milliseconds: performance.now() - start });
      const callback = args.at(-1);
      if (typeof callback === "function") {
        const both = (...results: unknown[]): void => {
          done();
          (callback as Query)(...results);
        };
        return query(...args.slice(0, -1), both);
      }
      const answer = query(...args) as Promise<unknown>;
      answer.then(done, done);
      return answer;
    };
    client.query = watched as typeof client.query;
  });
}
