/**
 * What Slack accepts of the blocks that Sluice uses: counts, lengths, required and unknown fields. Kinds that Sluice does not
 * use are refused, so that a new one is met here first. Limits: https://docs.slack.dev/reference/block-kit
 */

const TEXT_MAX = { post: 40_000, update: 4_000 } as const;
const BLOCK_TEXT_MAX = 13_200;
const TABLE_TEXT_MAX = 10_000;

export type Refusal = { readonly error: string; readonly details: readonly string[] };

type Fields = Readonly<Record<string, unknown>>;
type Surface = 'message' | 'modal';

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Collects what is wrong, each with its place. */
function createReport() {
  const details: string[] = [];
  const wrong = (place: string, what: string) => void details.push(`${what} [${place}]`);
  const report = {
    details,
    wrong,
    string(value: unknown, place: string, max: number, { min = 1, required = false } = {}) {
      if (value === undefined && !required) return;
      if (typeof value !== 'string') wrong(place, value === undefined ? 'missing' : 'must be a string');
      else if (value.length < min || value.length > max)
        wrong(place, `must have ${min} to ${max} characters, has ${value.length}`);
    },
    text(value: unknown, place: string, max: number, kinds: readonly string[], required = true) {
      if (value === undefined && !required) return;
      if (!isFields(value)) {
        wrong(place, 'missing text object');
        return;
      }
      if (!kinds.includes(String(value.type))) wrong(place, `type must be ${kinds.join(' or ')}`);
      report.string(value.text, `${place}/text`, max, { required: true });
      report.only(value, place, ['type', 'text', 'emoji', 'verbatim']);
    },
    list(value: unknown, place: string, min: number, max: number): readonly unknown[] {
      if (!Array.isArray(value)) {
        wrong(place, 'must be a list');
        return [];
      }
      if (value.length < min || value.length > max)
        wrong(place, `must have ${min} to ${max} items, has ${value.length}`);
      return value;
    },
    only(value: Fields, place: string, names: readonly string[]) {
      for (const name of Object.keys(value)) if (!names.includes(name)) wrong(place, `unknown field ${name}`);
    },
  };
  return report;
}

type Report = ReturnType<typeof createReport>;
type Check = (report: Report, block: Fields, place: string) => void;

const PLAIN = ['plain_text'];
const ANY_TEXT = ['plain_text', 'mrkdwn'];

const CHECKS: Readonly<Record<string, { readonly on: readonly Surface[]; readonly check: Check }>> = {
  header: {
    on: ['message', 'modal'],
    check(report, block, place) {
      report.text(block.text, `${place}/text`, 150, PLAIN);
      report.only(block, place, ['type', 'block_id', 'text']);
    },
  },
  section: {
    on: ['message', 'modal'],
    check(report, block, place) {
      if (block.text === undefined && block.fields === undefined) report.wrong(place, 'needs text or fields');
      report.text(block.text, `${place}/text`, 3000, ANY_TEXT, false);
      if (block.fields !== undefined) {
        const fields = report.list(block.fields, `${place}/fields`, 1, 10);
        for (const [i, field] of fields.entries()) report.text(field, `${place}/fields/${i}`, 2000, ANY_TEXT);
      }
      report.only(block, place, ['type', 'block_id', 'text', 'fields']);
    },
  },
  context: {
    on: ['message', 'modal'],
    check(report, block, place) {
      const elements = report.list(block.elements, `${place}/elements`, 1, 10);
      for (const [i, element] of elements.entries()) report.text(element, `${place}/elements/${i}`, 3000, ANY_TEXT);
      report.only(block, place, ['type', 'block_id', 'elements']);
    },
  },
  divider: {
    on: ['message', 'modal'],
    check: (report, block, place) => report.only(block, place, ['type', 'block_id']),
  },
  actions: {
    on: ['message', 'modal'],
    check(report, block, place) {
      const elements = report.list(block.elements, `${place}/elements`, 1, 25);
      const ids = new Set<unknown>();
      for (const [i, element] of elements.entries()) {
        if (!isFields(element)) report.wrong(`${place}/elements/${i}`, 'must be an object');
        else {
          checkButton(report, element, `${place}/elements/${i}`);
          if (ids.has(element.action_id))
            report.wrong(`${place}/elements/${i}`, `action_id ${String(element.action_id)} stands there twice`);
          ids.add(element.action_id);
        }
      }
      report.only(block, place, ['type', 'block_id', 'elements']);
    },
  },
  table: {
    on: ['message'],
    check(report, block, place) {
      const rows = report.list(block.rows, `${place}/rows`, 1, 100);
      const width = Array.isArray(rows[0]) ? rows[0].length : 0;
      for (const [i, row] of rows.entries()) {
        const cells = report.list(row, `${place}/rows/${i}`, 1, 20);
        if (cells.length !== width) report.wrong(`${place}/rows/${i}`, 'rows must have equally many cells');
        for (const [j, cell] of cells.entries()) checkCell(report, cell, `${place}/rows/${i}/${j}`);
      }
      if (textLength(rows) > TABLE_TEXT_MAX)
        report.wrong(place, `table text must have ${TABLE_TEXT_MAX} characters at most`);
      if (block.column_settings !== undefined) report.list(block.column_settings, `${place}/column_settings`, 0, 20);
      report.only(block, place, ['type', 'block_id', 'rows', 'column_settings']);
    },
  },
  input: {
    on: ['modal'],
    check(report, block, place) {
      report.text(block.label, `${place}/label`, 2000, PLAIN);
      const { element } = block;
      if (!isFields(element) || element.type !== 'plain_text_input') {
        report.wrong(`${place}/element`, 'must be a plain_text_input');
        return;
      }
      report.string(element.action_id, `${place}/element/action_id`, 255);
      const max = element.max_length;
      if (max !== undefined && !(Number(max) >= 1 && Number(max) <= 3000))
        report.wrong(`${place}/element`, 'max_length must be 1 to 3000');
      report.only(block, place, ['type', 'block_id', 'label', 'element', 'optional', 'hint']);
    },
  },
};

function checkButton(report: Report, element: Fields, place: string): void {
  if (element.type !== 'button') {
    report.wrong(`${place}/type`, `unsupported element ${String(element.type)}`);
    return;
  }
  report.text(element.text, `${place}/text`, 75, PLAIN);
  report.string(element.action_id, `${place}/action_id`, 255);
  report.string(element.value, `${place}/value`, 2000, { min: 0 });
  report.string(element.url, `${place}/url`, 3000);
  if (element.style !== undefined && element.style !== 'primary' && element.style !== 'danger')
    report.wrong(place, 'unknown style');
  report.only(element, place, ['type', 'text', 'action_id', 'value', 'url', 'style', 'confirm', 'accessibility_label']);
  const dialog = element.confirm;
  if (dialog === undefined) return;
  if (!isFields(dialog)) {
    report.wrong(`${place}/confirm`, 'must be an object');
    return;
  }
  report.text(dialog.title, `${place}/confirm/title`, 100, PLAIN);
  report.text(dialog.text, `${place}/confirm/text`, 300, ANY_TEXT);
  report.text(dialog.confirm, `${place}/confirm/confirm`, 30, PLAIN);
  report.text(dialog.deny, `${place}/confirm/deny`, 30, PLAIN);
  report.only(dialog, `${place}/confirm`, ['title', 'text', 'confirm', 'deny', 'style']);
}

function checkCell(report: Report, cell: unknown, place: string): void {
  if (!isFields(cell) || cell.type !== 'raw_text') {
    report.wrong(place, 'must be raw_text');
    return;
  }
  report.string(cell.text, `${place}/text`, TABLE_TEXT_MAX, { required: true });
}

/** Characters of everything named `text` below a value. */
function textLength(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item: unknown) => sum + textLength(item), 0);
  if (!isFields(value)) return 0;
  return Object.entries(value).reduce(
    (sum, [name, item]) => sum + (name === 'text' && typeof item === 'string' ? item.length : textLength(item)),
    0,
  );
}

function checkBlocks(report: Report, blocks: readonly unknown[], surface: Surface): void {
  const ids = new Set<unknown>();
  for (const [i, block] of blocks.entries()) {
    const place = `blocks/${i}`;
    const known = isFields(block) ? CHECKS[String(block.type)] : undefined;
    if (!isFields(block) || !known?.on.includes(surface)) {
      report.wrong(place, `unsupported block ${isFields(block) ? String(block.type) : ''}`);
      continue;
    }
    report.string(block.block_id, `${place}/block_id`, 255);
    if (block.block_id !== undefined && ids.has(block.block_id))
      report.wrong(place, `block_id ${String(block.block_id)} stands there twice`);
    ids.add(block.block_id);
    known.check(report, block, place);
  }
  if (blocks.filter((block) => isFields(block) && block.type === 'table').length > 1)
    report.wrong('blocks', 'only one table allowed');
}

export function checkMessage(args: Fields, kind: 'post' | 'update'): Refusal | null {
  const { text, blocks, metadata } = args;
  if (blocks !== undefined && !Array.isArray(blocks)) return { error: 'invalid_blocks_format', details: [] };
  if (!text && !(Array.isArray(blocks) && blocks.length > 0)) return { error: 'no_text', details: [] };
  if (typeof text === 'string' && text.length > TEXT_MAX[kind]) return { error: 'msg_too_long', details: [] };
  const report = createReport();
  const list = report.list(blocks ?? [], 'blocks', 0, 50);
  checkBlocks(report, list, 'message');
  if (report.details.length > 0) return { error: 'invalid_blocks', details: report.details };
  if (textLength(list) > BLOCK_TEXT_MAX) return { error: 'msg_blocks_too_long', details: [] };
  const isMetadata = isFields(metadata) && typeof metadata.event_type === 'string' && isFields(metadata.event_payload);
  return metadata === undefined || isMetadata ? null : { error: 'invalid_metadata_format', details: [] };
}

export function checkModal(view: unknown): Refusal | null {
  const report = createReport();
  if (!isFields(view) || view.type !== 'modal')
    return { error: 'invalid_arguments', details: ['a view of type modal is needed'] };
  for (const name of ['title', 'submit', 'close']) report.text(view[name], name, 24, PLAIN, name === 'title');
  report.string(view.private_metadata, 'private_metadata', 3000, { min: 0 });
  report.string(view.callback_id, 'callback_id', 255, { min: 0 });
  const blocks = report.list(view.blocks, 'blocks', 1, 100);
  checkBlocks(report, blocks, 'modal');
  const asks = blocks.some((block) => isFields(block) && block.type === 'input');
  if (asks && view.submit === undefined) report.wrong('submit', 'a view with inputs needs it');
  return report.details.length > 0 ? { error: 'invalid_arguments', details: report.details } : null;
}
