// `POST /v1/feedback`: a score of a recent answer of this process, from whoever asked for it. Judged where the plan says so, else shown.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#libs/base';
import { openAiError, parseFeedbackBody } from '#libs/openai';
import { type Checked, good, refuse } from '../completions/checked.js';
import { readRequest } from '../completions/read-request.js';
import type { Limits } from '../limits/limits.js';
import type { Recorder } from '../observe/recorder.js';
import { sendError, sendJson } from '../relay/send.js';
import type { RoutingFeed } from '../routing/feed.js';
import type { RecentAnswers } from './recent-answers.js';

export interface FeedbackParts {
  readonly feed: Pick<RoutingFeed, 'current'>;
  readonly limits: Limits;
  readonly recent: RecentAnswers;
  readonly recorder: Pick<Recorder, 'score'>;
  readonly clock: Clock;
}

/** Of one arm of one rollout, since the start of the process. */
interface Rated {
  count: number;
  sum: number;
}

const mostArms = 256;

export class Feedback {
  private readonly rated = new Map<string, Rated>();

  constructor(private readonly parts: FeedbackParts) {}

  /** By `rollout arm`: how many were rated here, and their mean. */
  figures(): Readonly<Record<string, { readonly count: number; readonly mean: number }>> {
    return Object.fromEntries([...this.rated].map(([name, { count, sum }]) => [name, { count, mean: sum / count }]));
  }

  /** Resolves when the answer has left. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.answer(request, response);
    if (answer.ok) sendJson(response, answer.value);
    else sendError(response, answer.error, !request.complete);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<Checked<string>> {
    const { feed, clock, limits, recent, recorder } = this.parts;
    const read = await readRequest(request, feed.current, clock, { limits, response, usualOutputTokens: 0 });
    if (!read.ok) return read;
    const { entry, body, tenant, key } = read.value;
    entry.settle({ inputTokens: 0, outputTokens: 0 }, clock.monotonicMs());
    const parsed = parseFeedbackBody(body.whole());
    if (!parsed.ok) return refuse(parsed.fault.error);
    const { request_id: requestId, score } = parsed.value;
    const found = recent.rate(requestId, tenant, key.scopes.includes('inference:pin'));
    // Whether another key's answer is there is nobody else's business.
    if (found === 'unknown' || found === 'foreign') {
      const message =
        'This gateway process knows no such answer of a rollout: it is over an hour old, of no rollout, of another key, or another process gave it.';
      return refuse(openAiError('answer_not_found', message, { param: 'request_id' }));
    }
    if (found === 'rated') {
      return refuse(openAiError('already_scored', 'This answer has its score: the first one counts.', { param: 'request_id' }));
    }
    const { judged, key: answer } = found.answer;
    if (judged) recorder.score(answer, score);
    this.show(`${answer.rolloutId} ${answer.arm}`, score);
    return good(JSON.stringify({ object: 'feedback', request_id: requestId, score, judged }));
  }

  private show(name: string, score: number): void {
    const one = this.rated.get(name) ?? { count: 0, sum: 0 };
    one.count += 1;
    one.sum += score;
    this.rated.set(name, one);
    const [oldest] = this.rated.keys();
    if (this.rated.size > mostArms && oldest !== undefined) this.rated.delete(oldest);
  }
}
