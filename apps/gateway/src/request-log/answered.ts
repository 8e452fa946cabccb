// What a generating request has to tell the request log when it is over.
import type { Admitted } from '../completions/admit.js';
import type { Attempt } from '../completions/attempt.js';
import type { Answered } from './told.js';

export interface Over {
  readonly admitted: Admitted;
  /** The last try; of an answer that was kept from an earlier request, nothing. */
  readonly last: Pick<Attempt, 'fault' | 'usage' | 'tokens' | 'ttftMs' | 'finishReason'>;
  readonly tries: number;
  /** The beginning of the answer, if it was kept. */
  readonly answer: Buffer | null;
}

export function answeredOf({ admitted, last, tries, answer }: Over): Answered {
  const { asked, assignment, pinned, wishes, tenant, keyName, promptClass, body } = admitted;
  return {
    model: asked.model,
    key: { id: tenant, name: keyName },
    rolloutId: assignment.rolloutId,
    arm: assignment.arm,
    pinned,
    priority: wishes.priority,
    promptClass,
    stream: asked.stream,
    tries,
    code: last.fault?.code ?? null,
    ttftMs: last.ttftMs,
    inputTokens: last.usage?.inputTokens ?? null,
    outputTokens: last.usage?.outputTokens ?? last.tokens,
    finishReason: last.finishReason,
    requestBody: body.bytes,
    answer,
  };
}
