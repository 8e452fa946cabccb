// Starts and ends evaluations that people ask for, in the caller's transaction. Those of a gate are the reconciler's.
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { fail, type Outcome, ok } from '#libs/base';
import type { GatePolicy } from '#libs/rollout';
import { AuditStore, type EvaluationRow, EvaluationStore, ModelStore, RoutingStore, TestSetStore, VersionStore } from '#libs/storage';
import { testSetUnknown } from './api/test-sets.api.js';
import { modelUnknown, versionUnknown } from './registry.js';

export interface StartEvaluation {
  readonly model: string;
  readonly candidate: string;
  readonly baseline?: string | undefined;
  readonly testSet: string;
  readonly margin: number;
  readonly minCases?: number | undefined;
  readonly maxErrorShare?: number | undefined;
  readonly actor: string;
}

/** Each keeps up to two versions loaded on every gateway. */
const mostLive = 20;
const defaults = { minCases: 100, maxErrorShare: 0.02 };

/** No such evaluation. */
export function evaluationUnknown(id: string): Outcome<never> {
  return fail({
    code: 'evaluation.not-found',
    message: `There is no evaluation ${id.slice(0, 64)}.`,
    field: 'id',
    remedy: 'Start one with POST /api/v1/evaluations; its answer names the id.',
  });
}

@Injectable()
export class EvaluationDesk {
  private readonly models = new ModelStore();
  private readonly versions = new VersionStore();
  private readonly testSets = new TestSetStore();
  private readonly evaluations = new EvaluationStore();
  private readonly routing = new RoutingStore();
  private readonly audit = new AuditStore();

  /** Queues one. Faults: `model.not-found`, `version.not-found`, `test-set.not-found`, `evaluation.same-version`, `evaluation.too-many-live`. */
  async start(tx: EntityManager, request: StartEvaluation): Promise<Outcome<EvaluationRow>> {
    const model = await this.models.byName(tx, request.model);
    if (!model) return modelUnknown(request.model);
    const candidate = await this.versions.byLabel(tx, model.id, request.candidate);
    if (!candidate) return versionUnknown(model.name, request.candidate, 'candidate');
    const named = request.baseline === undefined ? null : await this.versions.byLabel(tx, model.id, request.baseline);
    if (request.baseline !== undefined && !named) return versionUnknown(model.name, request.baseline, 'baseline');
    if (named?.id === candidate.id) {
      return fail({
        code: 'evaluation.same-version',
        message: `Version "${candidate.label}" cannot be compared with itself.`,
        field: 'baseline',
        remedy: 'Name another version as the baseline, or leave it out to compare with the stable version.',
      });
    }
    const frozen = await this.testSets.newest(tx, request.testSet);
    if (!frozen) return await this.withoutVersion(tx, request.testSet);
    if ((await this.evaluations.unfinished(tx)).length >= mostLive) {
      return fail({
        code: 'evaluation.too-many-live',
        message: `${mostLive} evaluations are waiting or running.`,
        retryable: true,
        remedy: 'Wait for one to end, or cancel one with POST /api/v1/evaluations/{id}/cancel.',
      });
    }
    const policy: GatePolicy = {
      testSet: request.testSet,
      margin: request.margin,
      minCases: request.minCases ?? Math.min(defaults.minCases, frozen.caseCount),
      maxErrorShare: request.maxErrorShare ?? defaults.maxErrorShare,
    };
    const stable = model.stableVersionId === candidate.id ? null : model.stableVersionId;
    const id = await this.evaluations.request(tx, {
      rolloutId: null,
      model: model.name,
      candidateVersionId: candidate.id,
      baselineVersionId: named?.id ?? stable,
      testSet: request.testSet,
      policy,
    });
    // Gateways load what a live evaluation pins.
    const generation = await this.routing.rebuild(tx);
    const { actor, ...asked } = request;
    await this.audit.append(tx, {
      actor,
      action: 'evaluation.started',
      subject: `evaluation/${id}`,
      reason: null,
      detail: { ...asked, generation },
    });
    const row = await this.evaluations.get(tx, id);
    if (!row) throw new Error('an evaluation vanished inside its transaction');
    return ok(row);
  }

  /** Ends one that is waiting or running. Faults: `evaluation.not-found`, `evaluation.ended`, `evaluation.of-rollout-live`. */
  async cancel(tx: EntityManager, id: string, actor: string): Promise<Outcome<EvaluationRow>> {
    const row = await this.evaluations.get(tx, id);
    if (!row) return evaluationUnknown(id);
    if (row.rolloutId !== null) {
      return fail({
        code: 'evaluation.of-rollout-live',
        message: 'This evaluation is the gate of a rollout.',
        remedy: `Abort the rollout: POST /api/v1/rollouts/${row.rolloutId}/abort {"reason": ...}.`,
      });
    }
    if (!(await this.evaluations.cancel(tx, id))) {
      return fail({ code: 'evaluation.ended', message: `The evaluation has ended (${row.state}).`, remedy: 'Start a new one.' });
    }
    const generation = await this.routing.rebuild(tx);
    await this.audit.append(tx, {
      actor,
      action: 'evaluation.cancelled',
      subject: `evaluation/${id}`,
      reason: null,
      detail: { generation },
    });
    return ok((await this.evaluations.get(tx, id)) ?? row);
  }

  private async withoutVersion(tx: EntityManager, name: string): Promise<Outcome<never>> {
    if (!(await this.testSets.byName(tx, name))) return testSetUnknown(name, 'testSet');
    return fail({
      code: 'test-set.not-found',
      message: `Test set "${name}" has no frozen version yet.`,
      field: 'testSet',
      remedy: `Send its cases to POST /api/v1/test-sets/${encodeURIComponent(name)}/versions.`,
    });
  }
}
