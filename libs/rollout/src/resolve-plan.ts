// A plan as people write it, any part left out, laid over defaults.
import type {
  ControlPolicy,
  ExposureBudget,
  FreezeWindow,
  GatePolicy,
  GatingCheck,
  JudgePolicy,
  Plan,
  PlanStep,
  ShadowPlan,
} from './plan.js';
import { defaultGate, defaultJudge, defaultShadow, defaultStep } from './plan-defaults.js';

type Loose<T> = T extends readonly (infer _)[] ? T : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | undefined } : T;

/** A partial plan: steps may leave out all but their weight. */
export type PlanDraft = Omit<Loose<Plan>, 'steps' | 'gate' | 'shadow' | 'control' | 'exposure' | 'freeze' | 'promotion'> & {
  readonly steps?: readonly ({ readonly weightPct: number } & { readonly [K in keyof PlanStep]?: PlanStep[K] | undefined })[] | undefined;
  readonly gate?: ({ readonly testSet: string } & { readonly [K in keyof GatePolicy]?: GatePolicy[K] | undefined }) | null | undefined;
  readonly shadow?: ({ readonly share: number } & { readonly [K in keyof ShadowPlan]?: ShadowPlan[K] | undefined }) | null | undefined;
  readonly control?: Pick<ControlPolicy, 'version'> | null | undefined;
  readonly exposure?: { readonly [K in keyof ExposureBudget]?: ExposureBudget[K] | undefined } | undefined;
  readonly freeze?: readonly FreezeWindow[] | undefined;
  readonly promotion?:
    | { readonly alpha?: number | undefined; readonly gating?: readonly GatingCheck[] | undefined; readonly approval?: boolean | undefined }
    | undefined;
};

function over<T extends object>(base: T, draft: { readonly [K in keyof T]?: T[K] | undefined } | undefined): T {
  const given = Object.fromEntries(Object.entries(draft ?? {}).filter(([, value]) => value !== undefined));
  return { ...base, ...given };
}

type QualityCheck = Plan['checks']['quality'];

function qualityOf(base: QualityCheck, draft: NonNullable<PlanDraft['checks']>['quality']): QualityCheck {
  const { judge, ...rest } = draft ?? {};
  const resolved = over<QualityCheck>(base, rest);
  if (judge === undefined) return resolved;
  if (judge === null) return { ...resolved, judge: null };
  const model = judge.model ?? base.judge?.model ?? '';
  // Whose id a label is, is found where versions are known. Another model's version is no default for this one's.
  const before = base.judge?.model === model ? base.judge : null;
  return { ...resolved, judge: over<JudgePolicy>({ version: null, versionId: null, ...defaultJudge, ...before, model }, judge) };
}

/** Fills what the draft leaves out from `base`. The result still has to pass `checkPlan`. */
export function resolvePlan(draft: PlanDraft, base: Plan): Plan {
  return {
    steps: draft.steps?.map((step) => over<PlanStep>({ ...defaultStep, weightPct: step.weightPct }, step)) ?? base.steps,
    bakeS: draft.bakeS ?? base.bakeS,
    gate:
      draft.gate === undefined
        ? base.gate
        : draft.gate === null
          ? null
          : over<GatePolicy>({ ...defaultGate, ...base.gate, testSet: draft.gate.testSet }, draft.gate),
    shadow:
      draft.shadow === undefined
        ? base.shadow
        : draft.shadow === null
          ? null
          : over<ShadowPlan>({ ...defaultShadow, ...base.shadow, share: draft.shadow.share }, draft.shadow),
    // Whose id it is, is found where versions are known.
    control: draft.control === undefined ? base.control : draft.control && { version: draft.control.version, versionId: '' },
    maxExpectedShift: over(base.maxExpectedShift, draft.maxExpectedShift),
    alpha: draft.alpha ?? base.alpha,
    checks: {
      entropy: over(base.checks.entropy, draft.checks?.entropy),
      shape: over(base.checks.shape, draft.checks?.shape),
      length: over(base.checks.length, draft.checks?.length),
      errors: over(base.checks.errors, draft.checks?.errors),
      refusals: over(base.checks.refusals, draft.checks?.refusals),
      latency: over(base.checks.latency, draft.checks?.latency),
      cost: over(base.checks.cost, draft.checks?.cost),
      quality: qualityOf(base.checks.quality, draft.checks?.quality),
      memory: over(base.checks.memory, draft.checks?.memory),
    },
    promotion: over(base.promotion, draft.promotion),
    guards: over(base.guards, draft.guards),
    reference: over(base.reference, draft.reference),
    noDataLimitS: draft.noDataLimitS ?? base.noDataLimitS,
    noData: draft.noData ?? base.noData,
    exposure: over<ExposureBudget>(base.exposure, draft.exposure),
    freeze: draft.freeze ?? base.freeze,
    startAt: draft.startAt === undefined ? base.startAt : draft.startAt,
    watch: over(base.watch, draft.watch),
    stickyBy: draft.stickyBy ?? base.stickyBy,
  };
}
