// The rollout as Markdown, for pasting into an incident's channel.
import type { RolloutEventResource, RolloutResource } from '#libs/contract';
import { utcTime } from '../words/format.js';
import { movement } from './traffic-text.js';

const newest = 8;

/** Texts of people and models are quoted as code, so that they cannot write Markdown of their own. */
function literal(text: string): string {
  return text.replaceAll('`', "'").replaceAll('\n', ' ');
}

export function incidentText(rollout: RolloutResource, events: readonly RolloutEventResource[], address: string): string {
  return [
    `**${literal(rollout.model)}: ${literal(rollout.stable.label)} → ${literal(rollout.candidate.label)}**`,
    '',
    literal(rollout.sentence),
    movement(rollout).text,
    '',
    ...events
      .slice(-newest)
      .toReversed()
      .map((event) => `- ${utcTime(event.at)} \`${literal(event.sentence)}\``),
    '',
    address,
  ].join('\n');
}
