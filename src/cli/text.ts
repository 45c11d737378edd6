/** Slack's sentences for a terminal, and columns. */

const ENTITIES: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&amp;': '&' };

/** Without Slack's marks: mentions become ids, links their text and address. */
export function plainText(mrkdwn: string): string {
  return mrkdwn
    .replace(/<!date\^[^|<>]*\|([^<>]*)>/g, '$1')
    .replace(/<(?:!subteam\^|[@#])([A-Z0-9_]+)>/g, '$1')
    .replace(/<([^|<>]+)\|([^<>]*)>/g, '$2 ($1)')
    .replaceAll('```', '')
    .replace(/`([^`]*)`/g, '$1')
    .replace(/(^|\s)\*([^*\n]+)\*/gm, '$1$2')
    .replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}

/** Rows of cells, each column as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    `${indent}${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}
