import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { PlaceStore } from '../../shared/places/store.ts';
import { siteOperations } from './sites.ts';
import { unitOperations } from './units.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const services = {
  directory,
  places: new PlaceStore(directory, devices),
  guard: new Guard(loadPolicies(), (record) => keepRecord(directory, record)),
};

/** Sites and care units of the management API. */
export const handler = serve('manage-places', { ...siteOperations(services), ...unitOperations(services) });
