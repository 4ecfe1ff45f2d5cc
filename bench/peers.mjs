// peers.mjs - DuckDB and ClickHouse: how they load the published events, and the questions as each
// is asked them best. Users are small integers and names are dictionaries: their favourable schema.
//
// Traps: ClickHouse's windowFunnel lets one event satisfy two steps, so steps share no type;
// DuckDB needs an ASOF join for each later step, which counts what `best` attempts count because the
// latest predecessor has the latest start.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { ROOT } from "./document.mjs";

export const requireTests = createRequire(join(ROOT, "tests", "package.json"));

const DAY = 86400000;
const START = Date.parse("2025-01-01");
const END = Date.parse("2025-04-01");
const MARCH2 = Date.parse("2025-03-02");
const WEEK = 7 * DAY;

const EVENTS = ["App Launched", "Page Viewed", "Search", "Category Viewed", "Product Viewed", "Added to Wishlist", "Added to Cart",
  "Removed from Cart", "Cart Viewed", "Checkout Started", "Charged", "Coupon Applied", "Push Received", "Notification Clicked"];

// A pipe that `kolam bench gen` writes the events into; `read` is given its path.
async function fromPipe({ kolam, folder, events, users, days }, form, read) {
  const pipe = join(folder, "events.pipe");
  rmSync(pipe, { force: true });
  if (spawnSync("mkfifo", [pipe]).status !== 0) throw new Error(`mkfifo ${pipe} failed`);
  const writer = spawn("sh", ["-c", 'exec "$0" "$@" > "$PIPE"', kolam, "bench", "gen", "--events", events, "--users", users, "--days", days, "--form", form].map(String),
    { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, PIPE: pipe } });
  const ended = new Promise((resolve) => writer.on("exit", resolve));
  try {
    await read(pipe);
    const status = await ended;
    if (status !== 0) throw new Error(`kolam bench gen ended with ${status}`);
  } finally {
    writer.kill();
    rmSync(pipe, { force: true });
  }
}

const folderBytes = (path) => readdirSync(path, { withFileTypes: true }).reduce((sum, entry) =>
  sum + (entry.isDirectory() ? folderBytes(join(path, entry.name)) : statSync(join(path, entry.name)).size), 0);

// --- DuckDB ------------------------------------------------------------------------------------------

export class DuckDb {
  static title = "DuckDB";
  static module = "@duckdb/node-api";

  constructor(options) {
    this.options = options;
    this.file = join(options.folder, "events.duckdb");
  }

  async open() {
    mkdirSync(this.options.folder, { recursive: true });
    const { DuckDBInstance } = requireTests(DuckDb.module);
    this.instance = await DuckDBInstance.create(this.file, {
      threads: "1", memory_limit: this.options.memory, temp_directory: join(this.options.folder, "temporary"),
    });
    this.connection = await this.instance.connect();
    this.version = (await this.rows("select version()"))[0][0];
  }

  async rows(sql) {
    return (await this.connection.runAndReadAll(sql)).getRows().map((row) => row.map((v) => (typeof v === "bigint" ? Number(v) : v)));
  }

  async load() {
    await fromPipe(this.options, "csv", (pipe) => this.connection.run(
      `create table e as select * from read_csv('${pipe}', auto_detect=false, header=false, delim=',', nullstr='', columns={ts:'BIGINT', u:'UINTEGER', event:'VARCHAR', platform:'VARCHAR', city:'VARCHAR', product:'UINTEGER', category:'VARCHAR', price:'UINTEGER', quantity:'UTINYINT'})`));
    await this.connection.run("checkpoint");
    return (await this.rows("select count(*) from e"))[0][0];
  }

  size() {
    return statSync(this.file).size;
  }

  timeline(user) {
    return `select ts, event, product, price from e where u = ${user} order by ts desc limit 100`;
  }

  close() {
    this.connection.closeSync();
    this.instance.closeSync();
  }

  questions = {
    "funnel of 3 steps in 7 days": `with a as (select u, ts from e where event='Product Viewed'), b as (select u, ts from e where event='Added to Cart'), c as (select u, ts from e where event='Charged'), b1 as (select b.u, b.ts, a.ts st from b asof join a on b.u=a.u and b.ts>=a.ts where b.ts-a.ts<=${WEEK}), c1 as (select c.u, b1.st from c asof join b1 on c.u=b1.u and c.ts>=b1.ts where c.ts-b1.st<=${WEEK}) select (select count(distinct u) from a), (select count(distinct u) from b1), (select count(distinct u) from c1)`,
    "retention 90 x 90 days": `with f as (select u, min(ts//${DAY}) co from e where event='App Launched' group by 1), r as (select distinct u, ts//${DAY} d from e where event='Product Viewed') select strftime(make_timestamp(co*${DAY}*1000), '%Y-%m-%d'), d-co n, count(*) c from f join r using(u) where d>=co and d-co<90 and co<${END / DAY} group by co, n`,
    "segment: at least 5 in 30 days": `select count(*) from (select u from e where event='Product Viewed' and ts>=${MARCH2} group by 1 having count(*)>=5)`,
    "users per day, 90 days": `select strftime(make_timestamp(d*${DAY}*1000), '%Y-%m-%d'), x from (select ts//${DAY} d, count(distinct u) x from e where event='Product Viewed' and ts<${END} group by 1)`,
    "users of 90 days, exact": `select count(distinct u) from e where event='Product Viewed' and ts<${END}`,
    "events per day of one type": `select strftime(make_timestamp(d*${DAY}*1000), '%Y-%m-%d'), x from (select ts//${DAY} d, count(*) x from e where event='Charged' and ts<${END} group by 1)`,
    "sum by category": `select category, sum(price)/100 x from e where event='Charged' and ts<${END} group by 1 order by 2 desc limit 100`,
    "top 10 products": `select product, count(*) x from e where event='Charged' and ts<${END} group by 1 order by 2 desc limit 10`,
    "flow of 5 steps": `with f as (select u, min(ts) t from e where event='App Launched' and ts<${END} group by u), paths as (select p, count(*) c from (select e.u, min_by(event, ts, 6) p from e join f on e.u=f.u and e.ts>=f.t where ts<${END} group by 1) group by 1) select prefix, sum(c)::bigint from (select unnest(list_transform(range(1, len(p)+1), lambda k: p[1:k])) prefix, c from paths) group by 1 order by 2 desc limit 1000`,
  };
}

// --- ClickHouse ---------------------------------------------------------------------------------------

// A sort key favours some questions; each is asked of the table that answers it best.
const KEYS = {
  by_event: "(event, u, ts)",
  by_user: "(u, ts)",
  by_day: "(toDate(ts), event, cityHash64(u), u, ts)",
};

export class ClickHouse {
  static title = "ClickHouse";
  static module = "chdb";

  constructor(options) {
    this.options = options;
    this.folder = join(options.folder, "clickhouse");
  }

  async open() {
    mkdirSync(this.options.folder, { recursive: true });
    const { Session } = requireTests(ClickHouse.module);
    this.session = new Session(this.folder);
    this.version = (await this.rows("select version()"))[0][0];
    this.tell("create database if not exists b engine=Atomic");
  }

  tell(sql) {
    return String(this.session.query(sql, "JSONCompactEachRow")).trim();
  }

  async rows(sql) {
    const text = this.tell(`${sql} settings max_threads=1, max_memory_usage=${this.options.memoryBytes}, max_bytes_before_external_group_by=${this.options.memoryBytes / 2}, output_format_json_quote_64bit_integers=0`);
    return text ? text.split("\n").map((line) => JSON.parse(line)) : [];
  }

  async load() {
    const list = (names) => `[${names.map((name) => `'${name}'`).join(",")}]`;
    const columns = "ts DateTime64(3,'UTC') CODEC(Delta,ZSTD(1)), u UInt32, event LowCardinality(String), platform LowCardinality(String), city LowCardinality(String), product UInt32, category LowCardinality(String), price UInt32, quantity UInt8";
    const settings = `settings max_threads=2, max_insert_threads=1, max_insert_block_size=1048576, max_memory_usage=${this.options.memoryBytes}`;
    for (const [name, key] of Object.entries(KEYS)) {
      this.tell(`drop table if exists b.${name} sync`);
      this.tell(`create table b.${name} (${columns}) engine=MergeTree partition by toYYYYMM(ts) order by ${key}`);
    }
    await fromPipe(this.options, "rows", (pipe) => this.tell(
      `insert into b.by_event select fromUnixTimestamp64Milli(${START}+t,'UTC'), user, ${list(EVENTS)}[ev+1], ${list(["Android", "iOS", "Web", "mWeb"])}[plat+1], 'city_'||toString(town), prod, if(cat=0,'','cat_'||toString(cat)), cents, qty from file('${pipe}','RowBinary','t Int64,user UInt32,ev UInt8,plat UInt8,town UInt16,prod UInt32,cat UInt8,cents UInt32,qty UInt8') ${settings}`));
    for (const name of Object.keys(KEYS)) {
      if (name !== "by_event") this.tell(`insert into b.${name} select * from b.by_event ${settings}`);
      this.tell(`optimize table b.${name} final`);
    }
    return (await this.rows("select count() from b.by_event"))[0][0];
  }

  // Of the smallest table: one copy of the data, as with the others.
  async size() {
    const sizes = await this.rows("select table, sum(bytes_on_disk) from system.parts where active and database='b' group by table");
    this.sizes = Object.fromEntries(sizes);
    return Math.min(...sizes.map(([, bytes]) => bytes));
  }

  timeline(user) {
    return `select ts, event, product, price from b.by_user where u = ${user} order by ts desc limit 100`;
  }

  close() {
    this.session.cleanup && !this.options.keep ? this.session.cleanup() : this.session.close?.();
  }

  questions = {
    "funnel of 3 steps in 7 days": `select countIf(level>=1), countIf(level>=2), countIf(level>=3) from (select u, windowFunnel(${WEEK})(toUInt64(toUnixTimestamp64Milli(ts)), event='Product Viewed', event='Added to Cart', event='Charged') level from b.by_event where event in ('Product Viewed','Added to Cart','Charged') group by u)`,
    "retention 90 x 90 days": `select toString(cohort), n, count() from (select cohort, n from (select u, min(if(event='App Launched',toDate(ts),NULL)) cohort, groupUniqArray(if(event='Product Viewed',toDate(ts),NULL)) seen from b.by_event where event in ('App Launched','Product Viewed') group by u having isNotNull(cohort)) array join arrayFilter(x->x>=0 and x<90, arrayMap(d->d-cohort, seen)) as n) where cohort<'2025-04-01' group by cohort, n`,
    "segment: at least 5 in 30 days": "select count() from (select u from b.by_day where event='Product Viewed' and ts>='2025-03-02' group by u having count()>=5)",
    "users per day, 90 days": "select toString(toDate(ts)) d, uniqExact(u) from b.by_day where event='Product Viewed' and ts<'2025-04-01' group by d",
    "users of 90 days, exact": "select uniqExact(u) from b.by_day where event='Product Viewed' and ts<'2025-04-01'",
    "events per day of one type": "select toString(toDate(ts)) d, count() from b.by_event where event='Charged' and ts<'2025-04-01' group by d",
    "sum by category": "select category, sum(price)/100 from b.by_event where event='Charged' and ts<'2025-04-01' group by category order by 2 desc limit 100",
    "top 10 products": "select product, count() c from b.by_event where event='Charged' and ts<'2025-04-01' group by product order by c desc limit 10",
    "flow of 5 steps": "select prefix, sum(c) from (select p, count() c from (select u, arraySort(groupArray((ts, event))) s, arrayFirstIndex(x->x.2='App Launched', s) i, arrayMap(x->x.2, arraySlice(s, i, 6)) p from b.by_user where ts<'2025-04-01' group by u having i>0) group by p) array join arrayMap(k->arraySlice(p, 1, k), range(1, length(p)+1)) as prefix group by prefix order by 2 desc limit 1000",
  };
}

export const PEERS = { duckdb: DuckDb, clickhouse: ClickHouse };

export function isInstalled(peer) {
  try {
    return existsSync(requireTests.resolve(peer.module));
  } catch {
    return false;
  }
}
