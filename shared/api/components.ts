import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { ApprovalView } from '../approvals/operations.ts';
import { AuditRecordSchema } from '../audit/view.ts';
import { BrakeRequest } from '../brake/brake.ts';
import { BrakeView } from '../brake/operations.ts';
import { CommandView } from '../commands/operations.ts';
import { BulkOrder, CommandOrder } from '../commands/types.ts';
import { DeviceDetail, DeviceInput, DevicePatch, DeviceView } from '../devices/operations.ts';
import { NewToken, TokenRequest, TokenView } from '../enrollment/operations.ts';
import { ImportView, RowResult } from '../imports/job.ts';
import { ShadowRequest, ShadowView, SignalView } from '../interlock/operations.ts';
import { SignalInput } from '../interlock/signals.ts';
import { Limits } from '../limits/limits.ts';
import { LimitsShadowRequest, LimitsShadowView } from '../limits/operations.ts';
import { Site, SiteChanges, SiteInput, Unit, UnitChanges, UnitInput } from '../places/place.ts';
import { ReviewView } from '../reviews/operations.ts';
import { RolloutInput } from '../rollouts/definition.ts';
import {
  ExecutionView,
  PlanEntryView,
  PlanView,
  RolloutSummary,
  RolloutView,
  TimelineView,
} from '../rollouts/operations.ts';
import { examples } from './examples.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

/** The schemas that have a name in the document, and whether they describe what comes in or what goes out. */
export const named: Readonly<Record<string, readonly [v.GenericSchema, 'input' | 'output']>> = {
  Site: [Site, 'output'],
  SiteInput: [SiteInput, 'input'],
  SiteChanges: [SiteChanges, 'input'],
  Unit: [Unit, 'output'],
  UnitInput: [UnitInput, 'input'],
  UnitChanges: [UnitChanges, 'input'],
  EnrollmentTokenRequest: [TokenRequest, 'input'],
  EnrollmentToken: [TokenView, 'output'],
  NewEnrollmentToken: [NewToken, 'output'],
  DeviceInput: [DeviceInput, 'input'],
  DeviceChanges: [DevicePatch, 'input'],
  Device: [DeviceView, 'output'],
  DeviceDetail: [DeviceDetail, 'output'],
  Import: [ImportView, 'output'],
  ImportRow: [RowResult, 'output'],
  CommandRequest: [CommandOrder, 'input'],
  BulkCommandRequest: [BulkOrder, 'input'],
  Approval: [ApprovalView, 'output'],
  Review: [ReviewView, 'output'],
  Limits: [Limits, 'input'],
  LimitsShadowRequest: [LimitsShadowRequest, 'input'],
  LimitsShadow: [LimitsShadowView, 'output'],
  Command: [CommandView, 'output'],
  BrakeRequest: [BrakeRequest, 'input'],
  Brake: [BrakeView, 'output'],
  Signal: [SignalView, 'output'],
  SignalInput: [SignalInput, 'input'],
  InterlockShadowRequest: [ShadowRequest, 'input'],
  InterlockShadow: [ShadowView, 'output'],
  RolloutInput: [RolloutInput, 'input'],
  Rollout: [RolloutView, 'output'],
  RolloutSummary: [RolloutSummary, 'output'],
  RolloutPlan: [PlanView, 'output'],
  RolloutPlanEntry: [PlanEntryView, 'output'],
  RolloutDevice: [ExecutionView, 'output'],
  RolloutTimelineEntry: [TimelineView, 'output'],
  AuditRecord: [AuditRecordSchema, 'output'],
};

const nameOf = new Map<unknown, string>(Object.entries(named).map(([name, [schema]]) => [schema, name]));

/** `components.schemas`. */
export function components(): JsonSchema {
  return Object.fromEntries(
    Object.entries(named).map(([name, [schema, mode]]) => {
      const converted = convert(schema, mode);
      const example = Object.entries(examples).find(([of]) => of === name)?.[1];
      return [name, example === undefined ? converted : { ...converted, examples: [example] }];
    }),
  );
}

/** A schema in place: a reference when it has a name. */
export function schemaOf(schema: v.GenericSchema, mode: 'input' | 'output'): JsonSchema {
  const name = nameOf.get(schema);
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  const item = itemOf(schema);
  const converted = convert(schema, mode);
  const itemName = nameOf.get(item);
  if (item === undefined || itemName === undefined) return converted;
  const properties = { ...(converted['properties'] as JsonSchema) };
  return {
    ...converted,
    properties: { ...properties, items: { type: 'array', items: { $ref: `#/components/schemas/${itemName}` } } },
  };
}

/** The schema of the items of a page (`pageOf`). */
function itemOf(schema: v.GenericSchema): unknown {
  if (!('entries' in schema) || typeof schema.entries !== 'object' || schema.entries === null) return undefined;
  const { items } = schema.entries as { items?: unknown };
  return typeof items === 'object' && items !== null && 'item' in items ? items.item : undefined;
}

/** Rules that JSON Schema cannot say (an IANA zone, a serial) are told in descriptions and checked by the handlers. */
function convert(schema: v.GenericSchema, typeMode: 'input' | 'output'): JsonSchema {
  const { $schema, ...rest } = toJsonSchema(schema, { typeMode, errorMode: 'ignore', target: 'draft-2020-12' });
  return rest;
}
