import type pg from "pg";

/** Types that PostgreSQL casts implicitly to or from the types of pgstore's statements. */
const TYPES = [
  "bigint",
  "boolean",
  "bytea",
  '"char"',
  "double precision",
  "integer",
  "interval",
  "json",
  "name",
  "numeric",
  "oid",
  "real",
  "regclass",
  "smallint",
  "text",
  "timestamp",
  "timestamptz",
  "varchar",
];
/** Includes the operators behind syntax: NULLIF, IN, BETWEEN, LIKE, row comparison. */
const OPERATORS = ["=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "||", "~~", "~", "@>"];

/**
 * Makes a schema in which every function and operator of these names has an overload that raises: with the parameters
 * of the originals in pg_catalog, and with every combination of similar types. Only their owner may call them, so a
 * plan with one of them fails as well. Returns their number.
 */
export async function layTraps(db: pg.Pool, schema: string, functions: readonly string[]): Promise<number> {
  await db.query(`CREATE SCHEMA "${schema}"; GRANT USAGE ON SCHEMA "${schema}" TO PUBLIC`);
  await db.query(`CREATE FUNCTION "${schema}".lay(names text[], symbols text[], types text[]) RETURNS void LANGUAGE plpgsql AS $lay$
    DECLARE
      made record;
      body text := $$ LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END' $$;
    BEGIN
      FOR made IN
        SELECT p.proname AS name, pg_get_function_identity_arguments(p.oid) AS takes, format_type(p.prorettype, NULL) AS gives
          FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (names)
        UNION
        SELECT n, a || COALESCE(', ' || b, ''), 'text' FROM unnest(names) n, unnest(types) a,
          unnest(types || NULL::text) b WHERE EXISTS (SELECT FROM pg_proc p WHERE p.proname = n AND p.pronargs = CASE WHEN b IS NULL THEN 1 ELSE 2 END)
      LOOP
        BEGIN
          EXECUTE format('CREATE FUNCTION "${schema}".%I(%s) RETURNS %s', made.name, made.takes, made.gives) || body;
        -- Of the same parameters, or of types that PL/pgSQL does not take: these have others of this schema beside them.
        EXCEPTION WHEN duplicate_function OR feature_not_supported OR invalid_function_definition OR syntax_error THEN NULL;
        END;
      END LOOP;
      FOR made IN
        SELECT o.oprname AS symbol, format_type(o.oprleft, NULL) AS l, format_type(o.oprright, NULL) AS r, format_type(o.oprresult, NULL) AS gives
          FROM pg_operator o WHERE o.oprleft <> 0 AND o.oprname = ANY (symbols) AND o.oprnamespace = 'pg_catalog'::regnamespace
        UNION
        SELECT symbol, l, r, 'boolean' FROM unnest(symbols) symbol, unnest(types) l, unnest(types) r
          WHERE NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprname = symbol
            AND o.oprleft = l::regtype AND o.oprright = r::regtype AND o.oprnamespace = 'pg_catalog'::regnamespace)
      LOOP
        BEGIN
          EXECUTE format('CREATE FUNCTION "${schema}".%I(%s, %s) RETURNS %s', 'trap ' || made.gives, made.l, made.r, made.gives) || body;
        EXCEPTION WHEN duplicate_function OR feature_not_supported OR invalid_function_definition THEN NULL;
        END;
        BEGIN
          EXECUTE format('CREATE OPERATOR "${schema}".%s (FUNCTION = "${schema}".%I, LEFTARG = %s, RIGHTARG = %s)',
            made.symbol, 'trap ' || made.gives, made.l, made.r);
        EXCEPTION WHEN undefined_function OR duplicate_function THEN NULL;
        END;
      END LOOP;
    END $lay$`);
  await db.query(`SELECT "${schema}".lay($1, $2, $3)`, [functions, OPERATORS, TYPES]);
  await db.query(`DROP FUNCTION "${schema}".lay; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA "${schema}" FROM PUBLIC`);
  const { rows } = await db.query<{ n: number }>(
    `SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = '"${schema}"'::regnamespace)::int +
       (SELECT count(*) FROM pg_operator WHERE oprnamespace = '"${schema}"'::regnamespace)::int AS n`,
  );
  return rows[0]?.n ?? 0;
}
