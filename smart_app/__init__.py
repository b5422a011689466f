"""What people do: pages, partner API, workflows, access policy, and the gateways to EHR, vault and partners."""
