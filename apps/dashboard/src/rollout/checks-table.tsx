// Every check with what it found: the same numbers the decision was made by. A check's name chooses what the chart shows.
import { Link } from '@tanstack/react-router';
import type { EvidenceResource } from '#libs/contract';
import { Tag } from '../app/tag.js';
import { Age } from '../app/time.js';
import { count, effectText } from '../words/format.js';
import { checks, verdicts } from '../words/names.js';
import { Card } from './card.js';
import { chartChecks, intervalText, marginText } from './chart-data.js';
import classes from './checks-table.module.css';
import { EvidenceBar } from './evidence-bar.js';
import { Whisker } from './whisker.js';

type Finding = EvidenceResource['findings'][number];

function Row({ finding, evidence, shown }: { readonly finding: Finding; readonly evidence: EvidenceResource; readonly shown: boolean }) {
  const { word, measures } = checks[finding.check];
  const chartCheck = chartChecks.find((name) => name === finding.check);
  return (
    <tr data-shown={shown} data-testid={`check-${finding.check}`}>
      <th scope="row">
        <span className={classes['name']}>
          {chartCheck ? (
            <Link
              to="."
              search={chartCheck === 'entropy' ? {} : { check: chartCheck }}
              resetScroll={false}
              aria-current={shown ? 'true' : undefined}
            >
              {word}
            </Link>
          ) : (
            word
          )}
        </span>
        <span className={classes['dim']}>{finding.note ?? measures}</span>
      </th>
      <td>
        <Tag named={verdicts[finding.verdict]} label="Verdict" />
      </td>
      <td data-label="Effect">
        <span>
          <span className={classes['num']}>{finding.effect === null ? '–' : effectText(finding.effect, finding.unit)}</span>
          <br />
          <span className={`${classes['dim']} ${classes['num']}`}>
            {intervalText(finding.lower, finding.upper, finding.unit) ?? 'no interval'}
          </span>
        </span>
      </td>
      <td data-label="Against margin">
        <span>
          <Whisker finding={finding} />
          <span className={`${classes['dim']} ${classes['num']}`}>{marginText(finding.marginUp, finding.marginDown, finding.unit)}</span>
        </span>
      </td>
      <td data-label="Responses">
        <span>
          <span className={classes['num']}>{count(finding.nCandidate)}</span>
          <br />
          <span className={classes['dim']}>vs {count(finding.nStable)}</span>
        </span>
      </td>
      <td data-label="Evidence">
        <span>
          <EvidenceBar
            logE={finding.logE}
            threshold={evidence.combined.threshold}
            share={finding.verdict === 'unmeasured' ? undefined : evidence.combined.share[finding.check]}
          />
        </span>
      </td>
    </tr>
  );
}

export function ChecksTable({ evidence, shown }: { readonly evidence: EvidenceResource | undefined; readonly shown: string }) {
  return (
    <Card
      title="Checks"
      aside={
        evidence ? (
          <>
            looked <Age at={evidence.at} />
          </>
        ) : null
      }
    >
      {evidence && evidence.findings.length > 0 ? (
        <div className={classes['scroll']}>
          <table className={classes['table']}>
            <thead>
              <tr>
                <th scope="col">Check</th>
                <th scope="col">Verdict</th>
                <th scope="col">Effect (interval)</th>
                <th scope="col">Against margin</th>
                <th scope="col">Responses</th>
                <th scope="col">Evidence against it</th>
              </tr>
            </thead>
            <tbody>
              {evidence.findings.map((finding) => (
                <Row key={finding.check} finding={finding} evidence={evidence} shown={finding.check === shown} />
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p className={classes['dim']}>Nothing has been looked at yet. The first look comes with the first answers of both versions.</p>
      )}
    </Card>
  );
}
