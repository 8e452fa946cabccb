// /api/v1/models/{model}/watch: how a promoted version fares against its own past, and the answer to its alarm.
import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { answerWatch, heartbeatFails, runLengthBlocks, watchedInput, watchLogR } from '#libs/analysis';
import { FaultError } from '#libs/base';
import { AuditStore, Database, HeartbeatStore, type ModelRow, ModelStore, RolloutStore, type WatchRow, WatchStore } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { unwrap, ValidBody, ValidQuery } from '../http/valid.js';
import { modelUnknown } from '../registry.js';
import { driftSentence } from '../watch/sentence.js';

const resolveBody = z.strictObject({
  reason: z.string().trim().min(1).max(1_000),
  /** Learn a new reference from now on: what the version does today is right. */
  relearn: z.boolean().default(false),
});
const beatsQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(500).default(50) });

@Controller('api/v1/models/:model')
export class WatchApi {
  private readonly models = new ModelStore();
  private readonly watches = new WatchStore();
  private readonly heartbeats = new HeartbeatStore();
  private readonly rollouts = new RolloutStore();
  private readonly audit = new AuditStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  @Get('watch')
  @Requires('models:read')
  async get(@Param('model') name: string) {
    return view(await this.find(name));
  }

  /** Answers an alarm: it is over, and takes nothing back any more. */
  @Post('watch/resolve')
  @HttpCode(200)
  @Requires('models:write')
  async resolve(@Param('model') name: string, @ValidBody(resolveBody) body: z.infer<typeof resolveBody>, @CurrentActor() actor: Actor) {
    const { modelId } = await this.find(name);
    return await this.database.transaction(async (tx) => {
      const watch = await this.watches.lock(tx, modelId);
      if (!watch) throw notWatched(name);
      const now = Math.floor(await this.rollouts.now(tx));
      const state = answerWatch(watch.state, body.relearn ? now : null);
      await this.watches.save(tx, modelId, { state, nextLookAt: now, beatNow: false });
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'model.watch-resolved',
        subject: `model/${name}`,
        reason: body.reason,
        detail: { version: watch.label, relearn: body.relearn, alarm: watch.state.alarm },
      });
      return view({ ...watch, state });
    });
  }

  /** Newest first. */
  @Get('heartbeats')
  @Requires('models:read')
  async beats(@Param('model') name: string, @ValidQuery(beatsQuery) { limit }: z.infer<typeof beatsQuery>) {
    const model = await this.model(name);
    return { items: await this.heartbeats.list(this.database.manager, model.id, limit) };
  }

  private async model(name: string): Promise<ModelRow> {
    return (await this.models.byName(this.database.manager, name)) ?? unwrap(modelUnknown(name));
  }

  private async find(name: string): Promise<WatchRow> {
    const model = await this.model(name);
    const watch = await this.watches.ofModel(this.database.manager, model.id);
    if (!watch || watch.versionId !== model.stableVersionId) throw notWatched(name);
    return watch;
  }
}

function notWatched(name: string): FaultError {
  return new FaultError({
    code: 'watch.not-found',
    message: `No version of "${name}" is watched yet.`,
    retryable: true,
    remedy: 'A version is watched from some seconds after it became stable.',
  });
}

/** `evidence`: ln R and where it alarms, null while the version learns its reference. */
function view(watch: WatchRow) {
  const { state, policy } = watch;
  return {
    model: watch.model,
    version: { id: watch.versionId, label: watch.label },
    rolloutId: watch.rolloutId,
    policy,
    phase: !policy.enabled ? 'off' : state.alarm ? 'alarmed' : state.reference ? 'watching' : 'learning',
    sentence: state.alarm ? driftSentence(watch, false) : null,
    seenUntil: state.nextAt,
    learningSince: state.learning?.since ?? null,
    reference: state.reference
      ? { at: state.reference.at, days: state.reference.days, responses: state.reference.responses, margins: state.reference.margins }
      : null,
    evidence: state.reference ? { logR: watchLogR(state), threshold: Math.log(runLengthBlocks) } : null,
    alarm: state.alarm,
    input: watchedInput(state),
    heartbeat: { nextAt: watch.heartbeatAt, testSet: watch.testSet, lnR: watch.heartbeatLnR, failing: heartbeatFails(watch.heartbeatLnR) },
  };
}
