// Has the traffic moved? A row in a database moves nothing: gateways do, and each says which generation it serves by.
import type { RolloutResource } from '#libs/contract';
import { weight } from '../words/format.js';

export interface Movement {
  readonly tone: 'good' | 'wait';
  readonly text: string;
}

/** What the live gateways serve by, in words. */
export function movement({
  gateways,
  weightPct,
  candidate,
  phase,
}: Pick<RolloutResource, 'gateways' | 'weightPct' | 'candidate' | 'phase'>): Movement {
  const { live, applied, missing } = gateways;
  if (live === 0) return { tone: 'wait', text: 'No gateway reports: nobody can say what is served.' };
  if (missing.length > 0) {
    const who = missing.slice(0, 3).join(', ') + (missing.length > 3 ? ` and ${missing.length - 3} more` : '');
    return { tone: 'wait', text: `Traffic is moving: ${applied} of ${live} gateways confirmed; waiting for ${who}.` };
  }
  const all = live === 1 ? 'The gateway confirmed' : `All ${live} gateways confirmed`;
  const share =
    phase === 'promoted' ? `${candidate.label} answers everything` : `${weight(weightPct)} of the traffic is on ${candidate.label}`;
  return { tone: 'good', text: `${all}: ${share}.` };
}
