// Health pages are asked regularly and at once in doubt, and believed only where requests are silent.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refusedConnection, seeded, VirtualEndpoint } from '../../../../../test/support/virtual-fleet.js';
import { VirtualTime } from '../../../../../test/support/virtual-time.js';
import { Endpoint } from './endpoint.js';
import { Prober } from './prober.js';
import { Random } from './random.js';

const tickMs = 50;
let clock: VirtualTime;
let prober: Prober;
let pages: VirtualEndpoint[];
let endpoints: Endpoint[];
let looks: string[];
let leaving: () => void;

function begin(count: number, hasHealthPage = true): void {
  clock = new VirtualTime();
  looks = [];
  pages = Array.from({ length: count }, (_, index) => new VirtualEndpoint(`replica-${index}`));
  endpoints = pages.map(
    (connection) => new Endpoint({ connection, name: connection.name, limit: 8, metrics: () => connection.metrics, trouble: null }),
  );
  const looked = ({ name, health }: Endpoint): void => void looks.push(`${name} ${health.state}`);
  prober = new Prober(endpoints, { clock, random: new Random(seeded(5)), hasHealthPage, looked });
  let cancel = (): void => undefined;
  const tick = (): void => {
    prober.tick(clock.monotonicMs());
    cancel = clock.after(tickMs, tick);
  };
  tick();
  leaving = () => cancel();
}

const page = (): VirtualEndpoint => pages[0] as VirtualEndpoint;
const endpoint = (): Endpoint => endpoints[0] as Endpoint;

beforeEach(() => begin(1));

afterEach(async () => {
  leaving();
  await prober.stop();
  for (const one of pages) await one.close();
});

describe('a health page', () => {
  it('is asked about every five seconds, not at the same time everywhere', async () => {
    begin(4);
    await clock.pass(60_000);
    for (const one of pages) {
      expect(one.asked.length).toBeGreaterThanOrEqual(9);
      expect(one.asked.length).toBeLessThanOrEqual(15);
      expect(new Set(one.asked)).toEqual(new Set(['/health']));
    }
  });

  it('that is silent twice takes its endpoint down; then it is asked every second, and its answer leads to a trial', async () => {
    page().health = 500;
    await clock.pass(8_000);
    expect(endpoint().health).toMatchObject({ state: 'down', reason: 'its page /health answers HTTP 500' });
    const before = page().asked.length;
    await clock.pass(10_000);
    expect(page().asked.length - before).toBeGreaterThanOrEqual(8);
    page().health = 200;
    await clock.pass(1_300);
    expect(endpoint().health.state).toBe('trial');
  });

  it('that is not there is replaced by the list of models, for good', async () => {
    page().health = 404;
    await clock.pass(15_000);
    expect(page().asked[0]).toBe('/health');
    expect(new Set(page().asked.slice(1))).toEqual(new Set(['/v1/models']));
    expect(endpoint().health.state).toBe('up');
  });

  it('of servers without one is never asked for', async () => {
    begin(1, false);
    await clock.pass(15_000);
    expect(new Set(page().asked)).toEqual(new Set(['/v1/models']));
  });

  it('that refuses us is a sign of life', async () => {
    page().health = 403;
    await clock.pass(30_000);
    expect(endpoint().health.state).toBe('up');
  });
});

describe('a doubt', () => {
  it('is looked into at the next tick, and again when the page is silent', async () => {
    page().health = null;
    prober.doubt(endpoint(), clock.monotonicMs());
    prober.doubt(endpoint(), clock.monotonicMs());
    await clock.pass(tickMs);
    expect(page().asked).toHaveLength(1);
    await clock.pass(2_000 + 2 * tickMs);
    expect(page().asked).toHaveLength(2);
    await clock.pass(2_000 + tickMs);
    expect(endpoint().health).toMatchObject({ state: 'down', reason: 'the upstream took longer than 2000 ms' });
  });

  it('has half a second where others could take the requests', async () => {
    begin(2);
    page().health = null;
    prober.doubt(endpoint(), clock.monotonicMs());
    await clock.pass(1_000 + 3 * tickMs);
    expect(endpoint().health.state).toBe('down');
  });

  it('is ended by one refused connection where requests fail as well', async () => {
    page().health = refusedConnection;
    endpoint().health.failed(clock.monotonicMs());
    prober.doubt(endpoint(), clock.monotonicMs());
    await clock.pass(tickMs);
    expect(endpoint().health.state).toBe('down');
    expect(page().asked).toHaveLength(1);
  });

  it('is none about an endpoint that answers requests meanwhile: it is busy, not dead', async () => {
    page().health = null;
    for (let n = 0; n < 100; n += 1) {
      endpoint().answeredAtMs = clock.monotonicMs();
      prober.doubt(endpoint(), clock.monotonicMs());
      await clock.pass(100);
    }
    expect(endpoint().health.state).toBe('up');
  });
});

describe('its end', () => {
  it('ends the looks under way, and they change nothing any more', async () => {
    page().health = null;
    prober.doubt(endpoint(), clock.monotonicMs());
    await clock.pass(tickMs);
    const told = looks.length;
    await prober.stop();
    expect(looks).toHaveLength(told);
    expect(endpoint().health.state).toBe('up');
  });
});
