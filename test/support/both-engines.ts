// One gateway with both kinds of engines, for what client libraries must find the same on each: `far` is an upstream, `near` a real model.
import { aGateway, aKey, aVersion, publish, type TestGateway, untilServing } from './gateway.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';
import { FakeUpstream } from './upstream.js';

export interface BothEngines {
  readonly baseUrl: string;
  readonly key: string;
  readonly upstream: FakeUpstream;
  readonly gateway: TestGateway;
  readonly database: TestDatabase;
  remove(): Promise<void>;
}

/** `sampledShare`: of the upstream's requests that are asked for log probabilities on our own account. */
export async function bothEngines(
  options: Parameters<typeof aGateway>[1] = {},
  { sampledShare = 0.1 }: { readonly sampledShare?: number } = {},
): Promise<BothEngines> {
  const test = await createTestDatabase();
  const key = await aKey(test);
  const upstream = new FakeUpstream('vllm');
  const logprobs = { top: 20, share: sampledShare };
  const far = aVersion('far', { engine: { kind: 'openai', baseUrl: await upstream.start(), model: 'fake-model', logprobs } }, 'far');
  const near = aVersion(
    'near',
    { engine: { kind: 'llama', file: 'demo-support-v1-stable.gguf', contextSize: 1_024, parallel: 2, threads: 1 } },
    'near',
  );
  const routes = [far, near].map(({ id, model }) => ({ model, stable: id, rollout: null }));
  const generation = await publish(test, { routes, versions: [far, near] });
  const gateway = await aGateway(test.url, options);
  await untilServing(gateway.url, generation);
  return {
    baseUrl: `${gateway.url}/v1`,
    key,
    upstream,
    gateway,
    database: test,
    remove: async () => {
      await gateway.remove();
      await upstream.stop();
      await test.drop();
    },
  };
}

/** Puts the upstream back to its usual answers. */
export function usual(upstream: FakeUpstream): void {
  upstream.fault = null;
  upstream.says = () => null;
  upstream.calls = () => null;
  upstream.embeddings = null;
  upstream.tokenMs = 0;
}

/** An upstream that calls `look_up` until it is told a result. */
export function callsOnce(upstream: FakeUpstream, given = '{"order":7}'): void {
  const told = (body: Readonly<Record<string, unknown>>) =>
    (body['messages'] as { role: string }[]).some((message) => message.role === 'tool');
  upstream.calls = (body) => (told(body) ? null : [{ name: 'look_up', arguments: given }]);
  upstream.says = (body) => (told(body) ? 'It is on its way.' : null);
}
