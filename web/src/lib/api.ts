import type { Session } from './types';

/** An answer of the server that is not a success, with its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly type: string,
    readonly details: Record<string, unknown>,
    readonly requestId?: string,
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

const current = { csrf: '', project: '' };

export function keepCredentialsOf(session: Session | null): void {
  current.csrf = session?.csrf_token ?? '';
}

export function setProject(id: string): void {
  current.project = id;
}

interface Options {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export async function api<T>(path: string, options: Options = {}): Promise<T> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = {
    Accept: 'application/json',
    'X-Requested-With': 'XMLHttpRequest', // so that a 401 doesn't make the browser ask for a password itself
    ...options.headers,
  };
  if (current.project) headers['X-Kolam-Project'] = current.project;
  if (method !== 'GET' && current.csrf) headers['X-CSRF-Token'] = current.csrf;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      credentials: 'same-origin',
    });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new ApiError(0, "The server can't be reached.", 'unreachable', {});
  }
  if (!response.ok) throw await errorOf(response);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  try {
    return (text ? JSON.parse(text) : undefined) as T;
  } catch {
    throw new ApiError(response.status, "The server's answer was not JSON.", 'bad_answer', {});
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A proxy in front may answer with a page; the status says enough.
  }
  const said = typeof body.error === 'string' && body.error ? body.error : `The server answered ${response.status}.`;
  const message = said.slice(0, 1).toUpperCase() + said.slice(1);
  return new ApiError(
    response.status,
    message,
    typeof body.type === 'string' ? body.type : 'unknown',
    (body.details as Record<string, unknown> | undefined) ?? {},
    typeof body.request_id === 'string' ? body.request_id : undefined,
    Number(response.headers.get('Retry-After')) || undefined,
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
