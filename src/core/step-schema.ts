/** The grammar of a strategy: what a step can hold, and which steps can follow each other. */
import { z } from 'zod';
import { show, wanted } from './config-errors.ts';
import { duration, flag, integer, isRegex, list, object, text } from './schema-parts.ts';

const Gate = object('true, or approvals, timeout, onTimeout', {
  approvals: integer('a number of approvals', 1, 10).prefault(1),
  timeout: duration('a duration such as 4h', 1000).prefault('4h'),
  onTimeout: z.enum(['abort', 'hold'], { error: wanted('abort or hold') }).prefault('abort'),
});

const HEADER = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[\w!#$%&'*+.^`|~-]+\s*:\s*[!-~]([ -~]*[!-~])?\s*$/;

const Preview = object('header: "x-canary: always", or cookie: "canary=always"', {
  header: text(
    'a header and its value, such as "x-canary: always"; only its name where a pattern follows',
    /^[\w!#$%&'*+.^`|~-]+\s*(:\s*[!-~]([ -~]*[!-~])?\s*)?$/,
  ).optional(),
  pattern: text(
    "a regular expression of at most 200 characters that the header's whole value matches, such as ^qa-.*",
    /^[!-~]([ -~]{0,198}[!-~])?$/,
  )
    .refine(isRegex, { error: 'write a regular expression: this one is not valid' })
    .optional(),
  cookie: text(
    'a cookie and its value, such as "canary=always"',
    /^[\w!#$%&'*+.^`|~-]+=[\w!#$%&'()*+./:<=>?@[\]^`{|}~-]+$/,
  ).optional(),
  optional: flag().optional(),
}).superRefine(({ header, pattern, cookie }, context) => {
  const report = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  // A misspelt key is one error, not two.
  if (context.issues.length > 0) return;
  if ((header === undefined) === (cookie === undefined))
    report('header', 'write either a header or a cookie: "x-canary: always", or cookie: "canary=always"');
  else if (cookie !== undefined && pattern !== undefined)
    report('pattern', 'write it with a header: a cookie has one value, such as "canary=always"');
  else if (pattern !== undefined && header !== undefined && !HEADER.test(header))
    report('header', `write only the header's name, since pattern says its value, not ${show(header)}`);
  else if (pattern === undefined && header !== undefined && !HEADER_VALUE.test(header))
    report('header', `write a header and its value, such as "x-canary: always", not ${show(header)}`);
});

const StepEntry = object('a step: weight, preview, mirror, test, bake, gate', {
  weight: integer('a percentage', 0, 100).optional(),
  preview: Preview.optional(),
  mirror: integer('a percentage of the requests to copy,', 1, 100).optional(),
  test: flag().optional(),
  bake: duration('a duration such as 1m').optional(),
  gate: z
    .union([z.literal(true), Gate], { error: wanted('true, or approvals, timeout, onTimeout') })
    .transform((gate) => (gate === true ? Gate.parse({}) : gate))
    .optional(),
}).refine((step) => Object.keys(step).length > 0, {
  error: 'write what the step does: weight, preview, mirror, test, bake or gate',
});

export const Steps = list('steps', StepEntry)
  .min(1, { error: 'write at least one step' })
  .superRefine((steps, context) => {
    const weights = steps.map((step) => step.weight ?? 0);
    for (const [index, weight] of weights.entries()) {
      const before = weights[index - 1] ?? 0;
      if (weight >= before) continue;
      const message = `write a weight of at least ${before}: the step before has it, and weights never fall (a step without weight has 0)`;
      context.addIssue({ code: 'custom', path: [index, 'weight'], message });
    }
    if ((weights.at(-1) ?? 100) >= 100) return;
    context.addIssue({
      code: 'custom',
      path: [weights.length - 1, 'weight'],
      message: 'write 100: the last step carries all traffic',
    });
  });

export type StepEntry = z.output<typeof StepEntry>;
