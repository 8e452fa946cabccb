// Row 9: three times what the upstream can do. The answers that are given must be nearly as many as it can give, in time; the rest refused at once and with a date.
import { line } from '../goals.mjs';
import { encode } from '../load/wire.mjs';
import { chat } from '../requests.mjs';
import { register, upstreamSpec } from '../serin/rollouts.mjs';
import { withGenerator, withScene } from './scene.mjs';

const slots = 16;
const serviceMs = 50;
const capacityPerS = (slots * 1_000) / serviceMs;
const overload = 3;
const deadlineMs = 1_000;

export const overloadRow = {
  row: 9,
  title: 'overload, three times the capacity',
  run: async ({ quick }) => {
    const prepare = async ({ database, upstreamPort }) => {
      await register(database, 'busy', { v1: upstreamSpec(upstreamPort, 'mock') }, 'v1');
      return 1;
    };
    return await withScene({ prepare, upstream: { slots, serviceMs } }, async ({ port, path, headers, upstream, gateway }) => {
      const request = (own) => encode({ path, headers: { ...headers, ...own }, body: chat({ model: 'busy' }) }).toString('base64');
      return await withGenerator(async (generator) => {
        const load = { ports: [port], skipMs: 1_000, forMs: quick ? 3_000 : 11_000 };
        // What this upstream gives through this gateway when clients ask for just as much: timers of 50 ms are never quite 50 ms.
        const bytes = request({ 'x-serin-timeout-ms': String(deadlineMs) });
        const closed = {
          port,
          request: bytes,
          connections: slots,
          stream: false,
          warmMs: 500,
          windowMs: load.forMs - 1_000,
          pid: gateway.pid,
        };
        const calm = await generator.ask('measure', closed);
        const stormy = await generator.ask('openLoop', { ...load, request: bytes, perS: capacityPerS * overload });
        const goodputPerS = (stormy.ok / stormy.countedMs) * 1_000;
        const answered = stormy.ok + (stormy.statuses['429'] ?? 0) + (stormy.statuses['503'] ?? 0);
        const { mostWaiting } = (await upstream.ask('seen')).slots;
        return {
          capacityPerS,
          measuredCapacityPerS: calm.requestsPerS,
          goodputPerS,
          mostWaitingAtTheUpstream: mostWaiting,
          ...stormy,
          goals: [
            line(9, 'goodput at 3x / capacity', goodputPerS / calm.requestsPerS, { atLeast: 0.9 }),
            line(9, 'p99 of the answered / deadline', stormy.okP99Ms === null ? null : stormy.okP99Ms / deadlineMs, { atMost: 1 }),
            line(
              9,
              'share of the others with 429 or 503 and Retry-After',
              (answered - stormy.withoutRetryAfter - stormy.ok) / Math.max(1, stormy.asked - stormy.ok),
              {
                atLeast: 1,
              },
            ),
          ],
        };
      });
    });
  },
};
