// Resources as lines of text. Pure: the present is an argument, and what came from elsewhere cannot steer the terminal.
import type { ApiKeyResource, EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';

type Finding = EvidenceResource['findings'][number];

/** Without control characters: a reason written by somebody must not move the cursor, recolour or retitle a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ');
}

export function percent(pct: number): string {
  return `${Number(pct.toFixed(2))}%`;
}

/** The candidate's share: after a promotion its row has no weight any more, and it answers everything. */
export function shareText({ phase, weightPct }: Pick<RolloutResource, 'phase' | 'weightPct'>): string {
  return percent(phase === 'promoted' ? 100 : weightPct);
}

/** "42s", "3m", "2h", "5d". */
export function age(at: number, now: number): string {
  const s = Math.max(0, Math.floor((now - at) / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  return s < 172_800 ? `${Math.floor(s / 3600)}h` : `${Math.floor(s / 86_400)}d`;
}

/** "14:02:31": local time of day. */
export function timeOfDay(at: number): string {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** Columns as wide as their widest cell, two spaces between; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function rolloutTable(rollouts: readonly RolloutResource[], now: number): string[] {
  return table([
    ['ID', 'MODEL', 'STABLE', 'CANDIDATE', 'PHASE', 'WEIGHT', 'AGE'],
    ...rollouts.map((rollout) => [
      rollout.id,
      plain(rollout.model),
      plain(rollout.stable.label),
      plain(rollout.candidate.label),
      rollout.phase,
      shareText(rollout),
      age(rollout.createdAt, now),
    ]),
  ]);
}

/** The rollout as a block: sentence first. */
export function rolloutLines(rollout: RolloutResource, evidence: EvidenceResource | null): string[] {
  const { gateways, earlier } = rollout;
  const waiting = gateways.missing.length > 0 ? `, waiting for ${gateways.missing.map(plain).join(', ')}` : '';
  const lines = [
    plain(rollout.sentence),
    '',
    ...table([
      ['rollout', rollout.id],
      ['model', plain(rollout.model)],
      ['phase', rollout.phase],
      ['weight', `${shareText(rollout)} on candidate ${plain(rollout.candidate.label)}, the rest on stable ${plain(rollout.stable.label)}`],
      ['gateways', `${gateways.applied} of ${gateways.live} serve by generation ${rollout.generation}${waiting}`],
      ...(earlier.rollouts > 0
        ? [
            [
              'tried before',
              `${earlier.rollouts}, of them ${earlier.exposed} with users: ${percent(earlier.spentAlpha * 100)} of chance for a false rollback spent`,
            ],
          ]
        : []),
    ]),
  ];
  if (!evidence || evidence.findings.length === 0) return lines;
  const { logE, threshold } = evidence.combined;
  return [
    ...lines,
    '',
    ...table([['CHECK', 'VERDICT', 'EFFECT', 'INTERVAL', 'MARGIN', 'CANDIDATE', 'STABLE', 'LN E'], ...evidence.findings.map(findingRow)]),
    `all checks together: ln e ${logE.toFixed(2)}, rolls back at ${threshold.toFixed(2)}`,
  ];
}

function findingRow(finding: Finding): string[] {
  const say = (value: number): string => effectText(value, finding.unit);
  const margins = [finding.marginUp, finding.marginDown].flatMap((margin) => (margin === null ? [] : [say(margin)]));
  return [
    finding.check,
    finding.verdict,
    finding.effect === null ? '-' : say(finding.effect),
    finding.lower === null || finding.upper === null ? '-' : `${say(finding.lower)} .. ${say(finding.upper)}`,
    margins.join(' / ') || '-',
    String(finding.nCandidate),
    String(finding.nStable),
    finding.logE.toFixed(2),
  ];
}

/** 0.0712 -> "+7.1%"; a difference of shares "+7.1pt". */
export function effectText(value: number, unit: Finding['unit']): string {
  const pct = value * 100;
  return `${pct < 0 ? '' : '+'}${pct.toFixed(Math.abs(pct) >= 100 ? 0 : 1)}${unit === 'points' ? 'pt' : '%'}`;
}

export function eventLine(event: RolloutEventResource): string {
  return `${timeOfDay(event.at)}  ${plain(event.sentence)}`;
}

export function keyTable(keys: readonly ApiKeyResource[], now: number): string[] {
  return table([
    ['ID', 'NAME', 'KEY', 'STATE', 'REQ/MIN', 'TOKENS/MIN', 'AT ONCE', 'AGE', 'SCOPES'],
    ...keys.map(({ id, name, prefix, state, limits, createdAt, scopes, self }) => [
      id,
      plain(name),
      `${plain(prefix)}...`,
      self ? `${state} (yours)` : state,
      ...[limits?.requestsPerMinute, limits?.tokensPerMinute, limits?.concurrentRequests].map((limit) =>
        limits === null ? 'default' : String(limit ?? '-'),
      ),
      age(createdAt, now),
      scopes.map(plain).join(' '),
    ]),
  ]);
}
