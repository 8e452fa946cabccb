// A stand-in for the gateway: a real HTTP server that answers chat completions by version, with faults where a test wants them.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly version: string;
  readonly key: string;
  readonly body: { readonly model: string; readonly messages: { readonly content: string }[]; readonly [field: string]: unknown };
}

/** An answer's text, or a refusal. `hang` never answers. */
export type Scripted = string | { readonly status: number; readonly code: string; readonly retryAfterS?: number } | 'hang';

export class FakeGateway {
  readonly asked: Asked[] = [];
  /** Most requests in flight at once. */
  mostAtOnce = 0;
  private inFlight = 0;
  private server: Server;

  /** `answer` is asked for every request, with how often this version and question came before. */
  constructor(private readonly answer: (asked: Asked, repeats: number) => Scripted) {
    this.server = createServer((request, response) => void this.handle(request, response));
  }

  async start(port = 0): Promise<string> {
    await new Promise<void>((done) => this.server.listen(port, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((done) => this.server.close(() => done()));
  }

  /** How many requests came for a version. */
  countOf(version: string): number {
    return this.asked.filter((one) => one.version === version).length;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const asked: Asked = {
      version: String(request.headers['x-serin-version']),
      key: String(request.headers.authorization),
      body: JSON.parse(text) as Asked['body'],
    };
    const question = asked.body.messages.at(-1)?.content;
    const repeats = this.asked.filter((one) => one.version === asked.version && one.body.messages.at(-1)?.content === question).length;
    this.asked.push(asked);
    const scripted = this.answer(asked, repeats);
    if (scripted === 'hang') return;
    response.setHeader('content-type', 'application/json');
    if (typeof scripted !== 'string') {
      response.statusCode = scripted.status;
      if (scripted.retryAfterS !== undefined) response.setHeader('retry-after', String(scripted.retryAfterS));
      response.end(JSON.stringify({ error: { code: scripted.code, message: 'scripted', type: 'server_error', param: null } }));
      return;
    }
    response.setHeader('x-serin-version', asked.version);
    response.end(
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: scripted }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
      }),
    );
  }
}
