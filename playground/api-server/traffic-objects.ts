/** Objects of the traffic systems beside the Gateway API, with the fields that the playground follows. */
import type { KubeObject, Labels } from './objects.ts';

export type IngressBackend = {
  readonly service?: { readonly name: string; readonly port?: { readonly name?: string; readonly number?: number } };
};

export type IngressPath = {
  readonly path?: string;
  readonly pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific';
  readonly backend: IngressBackend;
};

export type Ingress = KubeObject & {
  readonly spec: {
    readonly ingressClassName?: string;
    readonly defaultBackend?: IngressBackend;
    readonly rules?: readonly { readonly host?: string; readonly http?: { readonly paths: readonly IngressPath[] } }[];
  };
};

export type IngressClass = KubeObject & { readonly spec: { readonly controller: string } };

/** One of the three; none: the header is there. */
export type TextMatch = { readonly exact?: string; readonly prefix?: string; readonly regex?: string };

type TextMatches = Readonly<Record<string, TextMatch>>;

export type IstioMatch = {
  readonly uri?: TextMatch;
  readonly method?: TextMatch;
  readonly authority?: TextMatch;
  readonly headers?: TextMatches;
  readonly withoutHeaders?: TextMatches;
  readonly queryParams?: TextMatches;
  readonly ignoreUriCase?: boolean;
  readonly port?: number;
};

export type IstioDestination = {
  readonly host: string;
  readonly subset?: string;
  readonly port?: { readonly number?: number };
};

type Percent = { readonly value?: number };

export type IstioRoute = {
  readonly name?: string;
  readonly match?: readonly IstioMatch[];
  readonly route?: readonly { readonly destination: IstioDestination; readonly weight?: number }[];
  readonly delegate?: { readonly name?: string; readonly namespace?: string };
  readonly mirror?: IstioDestination;
  readonly mirrorPercentage?: Percent;
  readonly mirrors?: readonly { readonly destination: IstioDestination; readonly percentage?: Percent }[];
};

export type VirtualService = KubeObject & {
  readonly spec: {
    readonly hosts?: readonly string[];
    readonly gateways?: readonly string[];
    readonly http?: readonly IstioRoute[];
  };
};

export type DestinationRule = KubeObject & {
  readonly spec: {
    readonly host: string;
    readonly subsets?: readonly { readonly name: string; readonly labels?: Labels }[];
  };
};

export type TrafficSplit = KubeObject & {
  readonly spec: {
    readonly service: string;
    /** v1alpha1 knows quantities, too: `500m`. */
    readonly backends: readonly { readonly service: string; readonly weight: number | string }[];
  };
};

export type ServiceProfile = KubeObject & {
  readonly spec: {
    readonly dstOverrides?: readonly { readonly authority: string; readonly weight: number | string }[];
  };
};
