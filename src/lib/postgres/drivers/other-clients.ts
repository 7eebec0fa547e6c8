/** An object that users mistake for a client of the database. Its members identify it. */
interface OtherClient {
  readonly members: readonly string[];
  readonly name: string;
  readonly remedy: string;
}

const OWN_POOL = "pass a separate pg.Pool, new pg.Pool({ max: 3, connectionTimeoutMillis: 5000 })";

/**
 * ORMs and query builders. Many have a method `query` as well, which answers in another form. The first match counts,
 * as some share members.
 */
const OTHERS: readonly OtherClient[] = [
  {
    members: ["$queryRawUnsafe", "$transaction"],
    name: "a PrismaClient",
    remedy: "pass the pg.Pool that you passed to PrismaPg, or a separate one, new pg.Pool()",
  },
  { members: ["$pool", "$config"], name: "pg-promise's database", remedy: "pass db.$pool" },
  { members: ["$client"], name: "a Drizzle database", remedy: "pass db.$client" },
  {
    members: ["selectFrom", "getExecutor"],
    name: "a Kysely instance",
    remedy: "pass the pg.Pool that you passed to PostgresDialect",
  },
  { members: ["getQueryInterface", "connectionManager"], name: "a Sequelize instance", remedy: OWN_POOL },
  { members: ["em", "discovery"], name: "MikroORM", remedy: OWN_POOL },
  { members: ["getUnitOfWork", "getConnection"], name: "MikroORM's EntityManager", remedy: OWN_POOL },
  {
    members: ["createQueryRunner", "driver"],
    name: "a TypeORM DataSource",
    remedy: "pass dataSource.driver.master, after dataSource.initialize()",
  },
  {
    members: ["createQueryBuilder", "getRepository"],
    name: "a TypeORM EntityManager",
    remedy: "pass dataSource.driver.master",
  },
  {
    members: ["startTransaction", "broadcaster"],
    name: "a TypeORM QueryRunner",
    remedy: "pass dataSource.driver.master",
  },
  { members: ["raw", "schema", "client", "migrate"], name: "a Knex instance", remedy: OWN_POOL },
  { members: ["anyFirst", "maybeOne"], name: "a Slonik pool", remedy: OWN_POOL },
];

/** Names an object that was passed instead of a client, and the remedy. Undefined for an unknown object. */
export function otherClient(db: unknown): string | undefined {
  if ((typeof db !== "object" && typeof db !== "function") || db === null) return undefined;
  const found = OTHERS.find(({ members }) => members.every((member) => member in db));
  return found && `${found.name}: ${found.remedy}`;
}
