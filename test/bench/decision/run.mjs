// One run: all rules on one stream until each has alarmed or the horizon is reached.
import { Minute, peerRules } from './peers.mjs';
import { alone, planOf, SerinRule } from './serin.mjs';
import { Sprt } from './sprt.mjs';
import { World } from './world.mjs';

export const horizon = 50_000;

function rulesOf({ weight, effect }, scores) {
  return {
    serin: new SerinRule(weight, scores, planOf(weight)),
    // One check alone is shown beside the limit, and only there: it costs as much as all of them.
    ...(effect.entropy === undefined
      ? {}
      : { 'serin entropy': new SerinRule(weight, scores, planOf(weight, alone.entropy)), SPRT: new Sprt(effect) }),
    ...(effect.errors === undefined
      ? {}
      : { 'serin errors': new SerinRule(weight, scores, planOf(weight, alone.errors)), SPRT: new Sprt(effect) }),
    ...peerRules(),
  };
}

/** For each rule: candidate responses and seconds until its alarm, null when there was none within the horizon. */
export function runOnce(setting, seed, scores) {
  const world = new World(seed, { ...setting, horizon });
  const rules = rulesOf(setting, scores);
  const waiting = new Map(Object.entries(rules));
  const result = {};
  const one = {};
  let minutes = [new Minute(), new Minute()];
  let candidates = 0;
  let second = 0;
  const settle = () => {
    for (const [name, rule] of waiting) {
      if (!rule.alarm) continue;
      result[name] = { candidates, seconds: second, ...(rule.check ? { check: rule.check } : {}) };
      waiting.delete(name);
    }
  };
  for (let n = 0; n < horizon && waiting.size > 0; n += 1) {
    world.next(one);
    // Looks at the seconds and minutes that ended before this request: those without a request in them change nothing.
    const now = Math.floor(one.atMs / 1000);
    if (now > second) {
      const minuteEnded = Math.floor(now / 60) > Math.floor(second / 60);
      second = now;
      for (const rule of waiting.values()) rule.second(second);
      if (minuteEnded) {
        for (const rule of waiting.values()) rule.minute?.(minutes);
        minutes = [new Minute(), new Minute()];
      }
      settle();
    }
    candidates += one.arm;
    minutes[one.arm].add(one);
    for (const rule of waiting.values()) rule.add(one);
  }
  settle();
  for (const name of waiting.keys()) result[name] = null;
  return result;
}
