// `Idempotency-Key`: a repeated request changes nothing and gets the first answer.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { FaultError } from '#libs/base';
import { Database, digestOf, IdempotencyStore } from '#libs/storage';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

@Injectable()
export class Idempotency {
  private readonly store = new IdempotencyStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  /** Runs `work` once per actor and key, in one transaction with the record of its answer. Without a key it simply runs. */
  async once(
    { actor, key, request }: { readonly actor: string; readonly key: string | undefined; readonly request: unknown },
    work: (tx: EntityManager) => Promise<Answer>,
  ): Promise<Answer> {
    if (key === undefined) return await this.database.transaction(work);
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new FaultError({
        code: 'request.invalid',
        message: 'Idempotency-Key must be 1 to 255 printable characters without spaces.',
        retryable: false,
        field: 'Idempotency-Key',
        remedy: 'Send a fresh UUID for every new request, and the same one for its repeats.',
      });
    }
    const requestHash = digestOf(request);
    return await this.database.transaction(async (tx) => {
      const before = await this.store.reserve(tx, actor, key, requestHash);
      if (before && before.requestHash !== requestHash) {
        throw new FaultError({
          code: 'request.key-taken',
          message: 'This Idempotency-Key was used for another request.',
          retryable: false,
          field: 'Idempotency-Key',
          remedy: 'Send a fresh key for a new request.',
        });
      }
      if (before) return { status: before.status, body: before.response };
      const answer = await work(tx);
      await this.store.save(tx, actor, key, { status: answer.status, response: answer.body });
      return answer;
    });
  }
}
