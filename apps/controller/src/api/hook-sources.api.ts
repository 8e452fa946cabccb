// /api/v1/hook-sources: who may announce versions by webhook. Secrets are shown once, when they are made.
import { Controller, Get, Inject, Param, Put } from '@nestjs/common';
import { z } from 'zod';
import { newWebhookSecret } from '#libs/alerts';
import { fail, type Rng } from '#libs/base';
import { AuditStore, Database, type HookSourceRow, HookSourceStore, SecretBox } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { ControllerSettings, RNG } from '../core.js';
import { unwrap, ValidBody } from '../http/valid.js';

/** Sources whose signatures and bodies we can read. */
const known = new Set(['generic']);
const noFields = z.strictObject({});

@Controller('api/v1/hook-sources')
export class HookSourcesApi {
  private readonly sources: HookSourceStore;
  private readonly audit = new AuditStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(ControllerSettings) settings: ControllerSettings,
    @Inject(RNG) private readonly rng: Rng,
  ) {
    this.sources = new HookSourceStore(new SecretBox(settings.values.secretKey));
  }

  @Get()
  @Requires('settings:write')
  async list(): Promise<{ items: HookSourceRow[] }> {
    return { items: await this.sources.list(this.database.manager) };
  }

  /** A new secret with each call; the one before is refused from then on. */
  @Put(':name')
  @Requires('settings:write')
  async put(
    @Param('name') name: string,
    @ValidBody(noFields) _body: z.infer<typeof noFields>,
    @CurrentActor() actor: Actor,
  ): Promise<{ name: string; secret: string; url: string }> {
    if (!known.has(name)) {
      unwrap(
        fail({
          code: 'hook-source.not-found',
          message: `Hooks of the kind "${name}" are not understood.`,
          field: 'name',
          remedy: `Use ${[...known].join(' or ')}.`,
        }),
      );
    }
    const secret = newWebhookSecret(this.rng);
    await this.database.transaction(async (tx) => {
      await this.sources.setSecret(tx, name, secret);
      await this.audit.append(tx, {
        actor: actor.name,
        action: 'hook-source.secret-set',
        subject: `hook-source/${name}`,
        reason: null,
        detail: {},
      });
    });
    return { name, secret, url: `/hooks/${name}` };
  }
}
