// Requests on time: a fixed rate, whatever the answers do. The only honest way to offer more than there is capacity for.
import { percentile } from '../../engine/measure.mjs';
import { nowMs, sleep } from '../clock.mjs';
import { headerOf, Wire } from './wire.mjs';

const tickMs = 2;
const mostIdle = 2_048;

/**
 * @param {{port: number, request: string, perS: number, forMs: number, skipMs?: number, retry?: boolean}} load
 *   `skipMs`: the start, not counted. `retry`: a connection that was closed while idle is no failure: the request goes out on another, as every
 *   HTTP client does.
 */
export async function openLoop({ port, request, perS, forMs, skipMs = 0, retry = true }) {
  const bytes = Buffer.from(request, 'base64');
  const idle = [];
  const result = { asked: 0, ok: 0, statuses: {}, causes: {}, withoutRetryAfter: 0, okMs: [], refusedMs: [] };
  const running = new Set();
  const startMs = nowMs();
  const one = async (askedMs, again) => {
    const wire = idle.pop() ?? new Wire(port);
    const used = wire.used === true;
    wire.used = true;
    const answer = await wire.ask(bytes);
    if (answer.status === 0 && used && retry && !again) return await one(askedMs, true);
    if (!wire.closed && idle.length < mostIdle) idle.push(wire);
    else if (!wire.closed) wire.leave();
    if (askedMs - startMs < skipMs) return;
    result.asked += 1;
    result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
    const tookMs = answer.endedMs - askedMs;
    if (answer.status === 200 && answer.whole) {
      result.ok += 1;
      result.okMs.push(tookMs);
    } else if (answer.status === 429 || answer.status === 503) {
      result.refusedMs.push(tookMs);
      if (headerOf(answer, 'retry-after') === null) result.withoutRetryAfter += 1;
    }
    if (answer.cause !== null) result.causes[answer.cause] = (result.causes[answer.cause] ?? 0) + 1;
  };
  let sent = 0;
  for (;;) {
    const ageMs = nowMs() - startMs;
    if (ageMs >= forMs) break;
    for (const due = Math.floor((ageMs / 1_000) * perS); sent < due; sent += 1) {
      const asked = one(nowMs(), false);
      running.add(asked);
      void asked.finally(() => running.delete(asked));
    }
    await sleep(tickMs);
  }
  await Promise.race([Promise.all(running), sleep(30_000)]);
  const { okMs, refusedMs, ...rest } = result;
  for (const wire of idle) wire.leave();
  return {
    ...rest,
    unanswered: running.size,
    countedMs: forMs - skipMs,
    okP50Ms: percentile(okMs, 0.5),
    okP99Ms: percentile(okMs, 0.99),
    okMaxMs: okMs.length === 0 ? null : Math.max(...okMs),
    refusedP99Ms: percentile(refusedMs, 0.99),
  };
}
