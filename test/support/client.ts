// A bare client of the gateway: what was sent and what came back, without a library's own ideas.

export interface Reply<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly code: string; readonly param: string | null };
}

/** POSTs JSON; `body` is null for streams. */
export async function post<Body = ErrorBody>(
  { url, key }: { url: string; key: string },
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Reply<Body>> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, text, body: (json ? JSON.parse(text) : null) as Body };
}

/** The JSON of each event, without the end mark. Throws when the stream does not end with it. */
export function chunksOf<Chunk>(text: string): Chunk[] {
  const events = text.split('\n\n').filter((event) => event !== '');
  if (events.pop() !== 'data: [DONE]') throw new Error(`the stream has no end mark: ${text.slice(-200)}`);
  return events.map((event) => JSON.parse(event.slice('data: '.length)) as Chunk);
}
