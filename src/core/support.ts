/**
 * What each router can say, and so which strategies it can carry out: what it cannot is refused when the command is typed,
 * with the reason. The table in docs/strategies.md is made of this.
 */
import { hasUsers, loadOf, type Preview, type Route, type Step, type Target, type Traffic } from './plan.ts';

/** `true`, or the reason why not. */
type Can = true | string;

export type Support = {
  readonly weight: Can;
  /** Requests with a header, with a value that matches a pattern, or with a cookie reach the canary. */
  readonly header: Can;
  readonly pattern: Can;
  readonly cookie: Can;
  /** The only value that a cookie may have. */
  readonly cookieValue?: string;
  /** What names and values, and patterns, may be made of, where the rest is left out silently. */
  readonly characters?: Readonly<Record<'plain' | 'pattern', { readonly not: RegExp; readonly only: string }>>;
  /** Testers reach the canary before it has a weight, with what `previewRequest` says; left out: as users do. */
  readonly preview?: Can;
  readonly mirror: Can;
  /** Nothing says whether those who send requests have taken a route. */
  readonly unconfirmed?: true;
  /** No pod of the new version runs before the first weight. */
  readonly startsEmpty?: true;
  /** What the cluster is asked besides, when the command is typed. */
  readonly asks?: { readonly [feature in 'mirror']?: string };
};

const NO_MATCH = 'a TrafficSplit of Linkerd knows weights only: leave preview out, and test the canary by its weight';
const NO_MATCH_NAMERD = "Linkerd 1 routes by name, not by headers of one's own; testers reach the canary by l5d-dtab";
const NO_MATCH_SERVICE =
  "a Kubernetes Service cannot tell requests apart: testers ask the canary's own Kubernetes Service, <deployment>-canary or, with the workload versioned, <deployment>-<version>";
const NO_COPY_SERVICE = 'a Kubernetes Service cannot copy requests';
const ALL = { weight: true, header: true, pattern: true, cookie: true } as const;

/** By router. A reason is read after what it is about: `Mirroring: a TrafficSplit cannot copy requests`. */
export const SUPPORT: Readonly<Record<Traffic['router'], Support>> = {
  'gateway-api': { ...ALL, mirror: true, asks: { mirror: 'where the GatewayClass says that its controller can' } },
  namerd: {
    weight: true,
    header: NO_MATCH_NAMERD,
    pattern: NO_MATCH_NAMERD,
    cookie: NO_MATCH_NAMERD,
    preview: true,
    mirror: 'Linkerd 1 makes no copies of requests',
  },
  smi: {
    weight: true,
    header: NO_MATCH,
    pattern: NO_MATCH,
    cookie: NO_MATCH,
    mirror: 'a TrafficSplit cannot copy requests',
    unconfirmed: true,
  },
  istio: { ...ALL, mirror: true, unconfirmed: true },
  'ingress-nginx': {
    ...ALL,
    cookieValue: 'always',
    // Its annotation validation (on by default), in internal/ingress/annotations/parser/validators.go of kubernetes/ingress-nginx.
    characters: {
      plain: { not: /[^\w.~/: -]/, only: 'ingress-nginx takes letters, digits, spaces and -._~/: only' },
      pattern: {
        not: /[^\w.~/:^$[\](){}*+?|&=\\-]/,
        only: 'ingress-nginx takes letters, digits, -._~/: and ^$[](){}*+?|&=\\ only',
      },
    },
    mirror: 'ingress-nginx copies requests for an Ingress as a whole and not for its canary: leave mirror out',
    unconfirmed: true,
  },
  kubernetes: {
    weight:
      'the selector of a Kubernetes Service is switched for all requests at once: write 100, or roll out with the workload in-place, whose share follows its pods',
    header: NO_MATCH_SERVICE,
    pattern: NO_MATCH_SERVICE,
    cookie: NO_MATCH_SERVICE,
    mirror: NO_COPY_SERVICE,
  },
};

const SAME_SERVICE =
  'old and new pods are behind one Kubernetes Service, which cannot tell requests apart: test the canary by its weight';
/** With the workload `in-place` the share follows the pods. */
export const IN_PLACE_SUPPORT: Support = {
  weight: true,
  header: SAME_SERVICE,
  pattern: SAME_SERVICE,
  cookie: SAME_SERVICE,
  mirror: NO_COPY_SERVICE,
  startsEmpty: true,
};

const NOT_VERSIONED: Readonly<Partial<Record<Traffic['router'], string>>> = {
  'ingress-nginx':
    'the stable Ingress, which says what serves, is never written: use workload twin, or another router with workload versioned',
  smi: 'a TrafficSplit is there for the rollout only, so nothing says which version serves: use workload twin',
};
/** Why the workload `versioned` cannot be routed so; null: it can. */
export const notVersioned = (router: Traffic['router']): string | null => NOT_VERSIONED[router] ?? null;

export const supportOf = ({ workload, traffic }: Pick<Target, 'workload' | 'traffic'>): Support =>
  workload === 'in-place' ? IN_PLACE_SUPPORT : SUPPORT[traffic.router];

/** `rolling` is what Kubernetes does with a Deployment itself, whatever its steps are called. */
const ROLLING: { readonly workloads: readonly string[]; readonly reason: string } = {
  workloads: ['in-place'],
  reason: 'the pods of the Deployment itself are replaced one by one, which only the workload in-place does',
};

/** Why this target cannot go these steps, as sentences without a full stop; empty: it can. */
export function refusals(
  strategy: string,
  steps: readonly Step[],
  { workload, traffic }: Pick<Target, 'workload' | 'traffic'>,
  support: Support = supportOf({ workload, traffic }),
): readonly string[] {
  const wrong = strategy === 'rolling' && !ROLLING.workloads.includes(workload);
  const unrouted = workload === 'versioned' ? notVersioned(traffic.router) : null;
  const reasons = steps.flatMap((step) => {
    const { preview, weight, mirror } = step.route;
    // With a preview alone the step is for those users: an override that only testers know is not enough.
    const matches = hasUsers(step) && weight === 0 && mirror === null;
    return [
      ...(preview ? [unmatched(preview, support, matches)] : []),
      ...(mirror !== null && support.mirror !== true ? [`Mirroring: ${support.mirror}`] : []),
      ...(weight > 0 && weight < 100 && support.weight !== true ? [`Weights: ${support.weight}`] : []),
    ];
  });
  const all = [
    ...(unrouted === null ? [] : [`Workload versioned: ${unrouted}`]),
    ...(wrong ? [`Strategy rolling: ${ROLLING.reason}`] : []),
    ...reasons,
  ];
  return [...new Set(all.filter((reason) => reason !== null))];
}

type Matching = 'header' | 'pattern' | 'cookie';
const matchingOf = (preview: Preview): Matching =>
  'cookie' in preview ? 'cookie' : 'pattern' in preview ? 'pattern' : 'header';
const WORDS: Readonly<Record<Matching, string>> = {
  header: 'by header',
  pattern: 'by a pattern of a header',
  cookie: 'by cookie',
};

function unmatched(preview: Preview, support: Support, users: boolean): string | null {
  const matching = matchingOf(preview);
  const can = users ? support[matching] : (support.preview ?? support[matching]);
  const subject = `${users ? 'Users' : 'A preview'} ${WORDS[matching]}`;
  if (can !== true) return `${subject}: ${can}`;
  const stranger = strangerIn(preview, support);
  if (stranger !== null) return `${subject}: ${stranger}`;
  const { cookieValue } = support;
  const isWrong = 'cookie' in preview && cookieValue !== undefined && preview.value !== cookieValue;
  return isWrong
    ? `${subject}: the value of cookie ${preview.cookie} can only be ${cookieValue}; write "${preview.cookie}=${cookieValue}"`
    : null;
}

/** A character that its router would not take; null: it takes all. */
function strangerIn(preview: Preview, { characters }: Support): string | null {
  if (!characters) return null;
  const { plain, pattern } = characters;
  const name = 'cookie' in preview ? preview.cookie : preview.header;
  const parts = [
    { text: name, ...plain },
    'pattern' in preview ? { text: preview.pattern, ...pattern } : { text: preview.value, ...plain },
  ];
  for (const { text, not, only } of parts) {
    const [found] = not.exec(text) ?? [];
    if (found !== undefined) return `no "${found}" can be in it, ${only}`;
  }
  return null;
}

/** Why a router cannot say this route, whatever the cluster answers; null: it can. */
export function unsayable(route: Route, support: Support): string | null {
  const { weight, preview, mirror } = route;
  if (weight > 0 && weight < 100 && support.weight !== true) return support.weight;
  if (mirror !== null && support.mirror !== true) return support.mirror;
  return preview && unmatched(preview, support, false);
}

/**
 * The steps for a router: previews that are there only if one can be had, where one can; tests where there is a pod to ask, so
 * that those of an empty step come with the first weight.
 */
export function fitted(
  steps: readonly (Step & { readonly optionalPreview?: boolean })[],
  support: Support,
): readonly Step[] {
  const first = support.startsEmpty ? steps.findIndex(({ route }) => loadOf(route) > 0) : 0;
  const isOwed = steps.slice(0, first).some(({ test }) => test);
  return steps.map(({ optionalPreview, ...asked }, index) => {
    const step = { ...asked, test: index >= first && (asked.test || (index === first && isOwed)) };
    const { preview } = step.route;
    const drop = optionalPreview && preview !== null && unmatched(preview, support, false) !== null;
    return drop ? { ...step, route: { ...step.route, preview: null } } : step;
  });
}
