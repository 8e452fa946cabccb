// A controller in this process on a database of its own, and a client that speaks to it as an operator's script would.

import { type ControllerOptions, type RunningController, startController } from '#apps/controller';
import { allScopes } from '#libs/contract';
import { ApiKeyStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { createTestDatabase, type TestDatabase } from './postgres.js';

export interface Reply<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
  readonly text: string;
}

export interface TestController {
  readonly url: string;
  readonly test: TestDatabase;
  readonly key: string;
  /** Sends JSON; `body` as a string or bytes goes as it is. */
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Reply<T>>;
  /** Another controller on the same database. The caller closes it. */
  another(options?: Partial<ControllerOptions>): Promise<RunningController>;
  close(): Promise<void>;
}

export const testSecretKey = '5e'.repeat(32);
const callLimitMs = 30_000;

export async function startTestController(options: Partial<ControllerOptions> = {}): Promise<TestController> {
  const test = await createTestDatabase();
  const { key } = await new ApiKeyStore().create(test.database.manager, { name: 'test-admin', scopes: allScopes });
  const start = async (own: Partial<ControllerOptions>): Promise<RunningController> =>
    await startController({
      databaseUrl: test.url,
      host: '127.0.0.1',
      port: 0,
      dashboardDir: null,
      secretKey: testSecretKey,
      log: createLog('test-controller', 'silent'),
      ...own,
    });
  const controller = await start(options);
  return {
    url: controller.url,
    test,
    key,
    call: async <T>(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply<T>> => {
      const payload = body === undefined ? null : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
      const response = await fetch(`${controller.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(payload === null ? {} : { 'content-type': 'application/json' }), ...headers },
        body: payload as RequestInit['body'] & string,
        signal: AbortSignal.timeout(callLimitMs),
      });
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.includes('json') === true;
      return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : undefined) as T };
    },
    another: async (more = {}) => await start({ ...options, ...more }),
    close: async () => {
      await controller.close();
      await test.drop();
    },
  };
}
