/** What the API sends. Names are those of the contract. */

export interface Project {
  id: string;
  name: string;
  time_zone: string;
  kind?: string;
}

export interface Organisation {
  id: string;
  name: string;
  role: string;
  projects: Project[];
}

export interface Session {
  person: { id: string; name: string; email: string };
  csrf_token: string;
  organisations: Organisation[];
}

export type Cell = string | number | boolean | null | Cell[] | { [key: string]: Cell };

export interface Column {
  name: string;
  type: string;
}

export interface Meta {
  position?: number;
  rows_read?: number;
  bytes_read?: number;
  elapsed_ms?: number;
  time_zone?: string;
  open?: boolean;
  warnings?: string[];
}

export interface Answer {
  report: string;
  columns: Column[];
  rows: Cell[][];
  meta: Meta;
  cql?: string;
  query?: unknown;
}

export interface CatalogProperty {
  name: string;
  types: string[];
  count: number;
}

export interface CatalogEvent {
  name: string;
  count: number;
  users?: number;
  first_seen?: string | number | null;
  last_seen?: string | number | null;
  properties: CatalogProperty[];
}

export interface Catalog {
  events: CatalogEvent[];
  profile_properties: CatalogProperty[];
}

export interface UserRow {
  id: number | string;
  identity: string | null;
  name?: string | null;
  email?: string | null;
  phone?: string | null;
  first_seen?: string | number | null;
  last_seen?: string | number | null;
  events?: number;
}

export interface UserDetail {
  id: number | string;
  identities: { kind: string; value: string }[];
  properties: Record<string, Cell>;
  first_seen?: string | number | null;
  last_seen?: string | number | null;
  events?: { name: string; count: number; first_seen?: string | number; last_seen?: string | number }[];
  merged_from?: (string | number)[];
}

export interface TimelineEvent {
  time: string | number;
  event: string;
  properties: Record<string, Cell>;
  seq?: number;
}

export type ReportKind = 'trends' | 'funnel' | 'retention' | 'flow' | 'timeline' | 'query' | 'users';

export interface SavedReport {
  id: string;
  name: string;
  description?: string | null;
  kind: ReportKind;
  query: unknown;
  view?: unknown;
  etag?: string;
  updated_at?: string | number;
}

export interface ApiClient {
  id: string;
  name: string;
  scopes: string[];
  created_at?: string | number;
  last_used_at?: string | number | null;
}
