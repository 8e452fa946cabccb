// Requests on time: a fixed rate, whatever the answers do. The only honest way to offer more than there is capacity for.
import { percentile } from '../../engine/measure.mjs';
import { nowMs, sleep } from '../clock.mjs';
import { headerOf, Wire } from './wire.mjs';

const tickMs = 2;
const mostIdle = 2_048;
const lastAnswersMs = 30_000;

/** Connections that wait for their next request, by port. */
class Idle {
  constructor() {
    this.wires = new Map();
  }

  take(port) {
    const kept = this.wires.get(port) ?? [];
    let wire = kept.pop();
    while (wire?.closed) wire = kept.pop();
    return wire ?? null;
  }

  give(port, wire) {
    if (wire.closed) return;
    const kept = this.wires.get(port) ?? [];
    this.wires.set(port, kept);
    if (kept.length < mostIdle) kept.push(wire);
    else wire.leave();
  }

  leave() {
    for (const kept of this.wires.values()) for (const wire of kept) wire.leave();
  }
}

class Tally {
  constructor(startMs, skipMs) {
    this.fromMs = startMs + skipMs;
    this.okMs = [];
    this.refusedMs = [];
    this.result = { asked: 0, ok: 0, statuses: {}, causes: {}, withoutRetryAfter: 0, failures: [] };
  }

  add(askedMs, answer) {
    if (askedMs < this.fromMs) return;
    const { result } = this;
    result.asked += 1;
    result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
    if (answer.cause !== null) result.causes[answer.cause] = (result.causes[answer.cause] ?? 0) + 1;
    const tookMs = answer.endedMs - askedMs;
    if (answer.status === 200 && answer.whole) {
      result.ok += 1;
      this.okMs.push(tookMs);
      return;
    }
    if (answer.status === 429 || answer.status === 503) {
      this.refusedMs.push(tookMs);
      if (headerOf(answer, 'retry-after') === null) result.withoutRetryAfter += 1;
    }
    if (result.failures.length < 20)
      result.failures.push({ atS: (askedMs - this.fromMs) / 1_000, status: answer.status, cause: answer.cause });
  }

  read() {
    const { okMs, refusedMs } = this;
    return {
      ...this.result,
      okP50Ms: percentile(okMs, 0.5),
      okP99Ms: percentile(okMs, 0.99),
      okMaxMs: okMs.reduce((most, one) => Math.max(most, one), 0),
      refusedP99Ms: percentile(refusedMs, 0.99),
    };
  }
}

/** `ports` take turns. `skipMs`: the start, not counted. A connection that closed while idle is no failure: its request goes out on another, as in every HTTP client. */
export async function openLoop({ ports, request, perS, forMs, skipMs = 0 }) {
  const bytes = Buffer.from(request, 'base64');
  const idle = new Idle();
  const running = new Set();
  const startMs = nowMs();
  const tally = new Tally(startMs, skipMs);
  const one = async (port) => {
    const askedMs = nowMs();
    const kept = idle.take(port);
    let wire = kept ?? new Wire(port);
    let answer = await wire.ask(bytes);
    if (kept !== null && answer.status === 0) {
      wire = new Wire(port);
      answer = await wire.ask(bytes);
    }
    idle.give(port, wire);
    tally.add(askedMs, answer);
  };
  let sent = 0;
  for (let ageMs = 0; ageMs < forMs; ageMs = nowMs() - startMs) {
    for (const due = Math.floor((ageMs / 1_000) * perS); sent < due; sent += 1) {
      const asked = one(ports[sent % ports.length]);
      running.add(asked);
      void asked.finally(() => running.delete(asked));
    }
    await sleep(tickMs);
  }
  await Promise.race([Promise.all(running), sleep(lastAnswersMs)]);
  idle.leave();
  return { ...tally.read(), unanswered: running.size, countedMs: forMs - skipMs };
}
