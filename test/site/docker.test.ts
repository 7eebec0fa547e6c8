import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pgstore } from "../cli/run.ts";
import { command, folder, instruction, instructions, services, volumes } from "../support/docker-example.ts";
import { root } from "../support/pages.ts";

const server = readFileSync(join(folder, "server.js"), "utf8");

describe("examples/docker", () => {
  it("has instructions that Docker knows, and copies what it starts", () => {
    const known = new Set(["FROM", "WORKDIR", "ENV", "COPY", "RUN", "USER", "EXPOSE", "CMD"]);
    expect(instructions.filter(({ name }) => !known.has(name))).toEqual([]);
    expect(instructions.map(({ name }) => name)).toEqual(expect.arrayContaining([...known]));
    const copied = instructions
      .filter(({ name }) => name === "COPY")
      .flatMap(({ rest }) => rest.split(" ").slice(0, -1));
    expect(copied).toEqual(["package*.json", "server.js"]);
    expect(command).toEqual(["node", "server.js"]);
    expect(copied.filter((file) => !existsSync(join(folder, file.replace("*", ""))))).toEqual([]);
  });

  it("is based on versions that pgstore supports", () => {
    const [, node] = /^node:(\d+)-slim$/.exec(instruction("FROM")) ?? [];
    const runtimes = readFileSync(join(root, "runtimes/package.json"), "utf8");
    expect(runtimes).toContain(`"node-${node}-linux-x64"`);
    const [, postgres] = /^postgres:(\d+)$/.exec(services.database.image ?? "") ?? [];
    expect(readFileSync(join(root, "scripts/postgres-majors.mjs"), "utf8")).toMatch(
      new RegExp(`^  ${postgres}: "`, "m"),
    );
  });

  it("uses one port everywhere, on all addresses", () => {
    const port = instruction("EXPOSE");
    expect(services.app.ports).toEqual([`${port}:${port}`]);
    expect(services.app.healthcheck?.test.join(" ")).toContain(`http://127.0.0.1:${port}/health`);
    expect(server).toContain(`process.env.PORT || ${port}`);
    expect(server).toContain('app.listen(port, "0.0.0.0"');
  });

  it("names a database that compose creates", () => {
    const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: name } = services.database.environment;
    for (const { environment } of [services.migrate, services.app])
      expect(environment).toEqual({ DATABASE_URL: `postgres://${user}:${password}@database:5432/${name}` });
    const test = ["CMD", "pg_isready", "--host=127.0.0.1", `--username=${user}`, `--dbname=${name}`];
    expect(services.database.healthcheck?.test).toEqual(test);
    // The image of PostgreSQL 18 refuses a volume on /var/lib/postgresql/data.
    expect(services.database.volumes).toEqual([`${Object.keys(volumes)[0]}:/var/lib/postgresql`]);
  });

  it("waits for a database that is healthy, then for the tables", async () => {
    expect(services.migrate.depends_on).toEqual({ database: { condition: "service_healthy" } });
    expect(services.app.depends_on).toEqual({ migrate: { condition: "service_completed_successfully" } });
    const [npx, name, ...args] = services.migrate.command ?? [];
    expect([npx, name]).toEqual(["npx", "pgstore"]);
    expect((await pgstore(...args, "--help")).code).toBe(0);
  });
});
