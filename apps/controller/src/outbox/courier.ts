// One attempt at one delivery: signs the event, sends it through the guard and says what came of it. Touches no database.
import { Inject, Injectable } from '@nestjs/common';
import {
  AddressPolicy,
  checkTarget,
  cloudEvent,
  cloudEventContentType,
  guardedRequest,
  retryAfterMs,
  retryDelayMs,
  signWebhook,
  testEventType,
} from '#libs/alerts';
import type { Clock, Outcome, Rng } from '#libs/base';
import { type ClaimedDelivery, endpointPlace, SecretBox, type Settlement } from '#libs/storage';
import { CLOCK, ControllerSettings, RNG } from '../core.js';

/** What came of an attempt, and how to let go of the connection once that is recorded. */
export interface Attempt {
  readonly settlement: Settlement;
  /** The receiver said 410: it wants nothing more. */
  readonly gone: boolean;
  hangUp(): Promise<void>;
}

const nothing = async (): Promise<void> => undefined;

@Injectable()
export class Courier {
  private readonly policy: AddressPolicy;
  private readonly box: SecretBox;

  constructor(
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RNG) private readonly rng: Rng,
  ) {
    this.policy = new AddressPolicy(settings.values.webhookAllowCidrs);
    this.box = new SecretBox(settings.values.secretKey);
  }

  /** May webhooks go there now? Faults as `checkTarget`. Every attempt asks again. */
  async mayReach(url: string): Promise<Outcome<unknown>> {
    return await checkTarget(url, this.policy);
  }

  /** Ends within 15 s of deadline whatever the receiver does, sooner when `signal` aborts. Rejects only on broken assumptions. */
  async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<Attempt> {
    const secret = this.box.open(delivery.sealedSecret, endpointPlace(delivery.endpointId));
    const body = JSON.stringify(
      cloudEvent({
        id: delivery.outboxId,
        type: delivery.type,
        source: this.settings.values.publicUrl,
        subject: delivery.subject,
        atMs: delivery.at,
        data: delivery.payload,
      }),
    );
    const signed = signWebhook(secret, { id: delivery.outboxId, timestampS: this.clock.now() / 1000, body });
    const answer = await guardedRequest({
      url: delivery.url,
      policy: this.policy,
      method: 'POST',
      headers: { 'content-type': cloudEventContentType, ...signed },
      body,
      signal,
    });
    if (!answer.ok) {
      return {
        settlement: this.failed(delivery, null, `${answer.fault.code}: ${answer.fault.message}`, null),
        gone: false,
        hangUp: nothing,
      };
    }
    const { status } = answer.value;
    const hangUp = async (): Promise<void> => await answer.value.close();
    if (status >= 200 && status < 300) return { settlement: { kind: 'delivered', status }, gone: false, hangUp };
    // Of an answer only the status is kept: what a server inside says must not come out through our API.
    if (status === 410)
      return { settlement: { kind: 'dead', status, error: 'HTTP 410: the receiver wants nothing more' }, gone: true, hangUp };
    const why = status >= 300 && status < 400 ? `HTTP ${status}: redirects are not followed` : `HTTP ${status}`;
    const asked = retryAfterMs(answer.value.header('retry-after'), this.clock.now());
    return { settlement: this.failed(delivery, status, why, asked), gone: false, hangUp };
  }

  /** The settlement of a failed attempt: another try later, or the end. A test is a question about now and is never repeated. */
  failed(delivery: ClaimedDelivery, status: number | null, error: string, askedMs: number | null): Settlement {
    const delayMs = delivery.type === testEventType ? null : retryDelayMs(delivery.attempts, this.rng, askedMs);
    return delayMs === null ? { kind: 'dead', status, error } : { kind: 'retry', status, error, delayMs };
  }
}
