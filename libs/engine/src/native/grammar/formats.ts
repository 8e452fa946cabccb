// `format` where a pattern says all of it: a model cannot write February 30th.

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const leapYear = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const date =
  '(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))' +
  `|${leapYear}-02-29)`;
/** RFC 3339 without leap seconds, which exist only in some minutes. */
const time = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const hex = '[0-9a-fA-F]';
const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';

/** A pattern per format. `email`: the unquoted form, up to three dotted parts of 20 characters before the @ and four labels after it. */
export const formatPatterns: Readonly<Record<string, string>> = {
  date: `^${date}$`,
  time: `^${time}$`,
  'date-time': `^${date}T${time}$`,
  uuid: `^${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}$`,
  ipv4: `^${octet}(?:\\.${octet}){3}$`,
  email: `^${atom}(?:\\.${atom}){0,2}@${label}(?:\\.${label}){1,3}$`,
};
