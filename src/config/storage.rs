//! The names of `[storage]`: those that one of object_store's stores knows.

use datafusion::object_store::{ClientConfigKey, aws::AmazonS3ConfigKey, azure::AzureConfigKey, gcp::GoogleConfigKey};

/// Names to guess from; object_store knows more, and others for the same.
pub(super) const USUAL: &[&str] = &[
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region",
    "aws_default_region",
    "aws_endpoint",
    "aws_endpoint_url",
    "aws_allow_http",
    "aws_virtual_hosted_style_request",
    "aws_skip_signature",
    "aws_request_payer",
    "aws_unsigned_payload",
    "aws_role_arn",
    "aws_web_identity_token_file",
    "google_service_account",
    "google_service_account_key",
    "google_application_credentials",
    "google_base_url",
    "google_skip_signature",
    "azure_storage_account_name",
    "azure_storage_account_key",
    "azure_storage_sas_token",
    "azure_storage_client_id",
    "azure_storage_client_secret",
    "azure_storage_tenant_id",
    "azure_storage_endpoint",
    "azure_storage_use_emulator",
    "azure_use_azure_cli",
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "timeout",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_url",
    "max_retries",
    "retry_timeout",
    "user_agent",
];

/// Options of our own: how often, and for how long, a request that failed is tried again.
const OWN: [&str; 2] = ["max_retries", "retry_timeout"];

/// Whether any store takes an option of this (lower-case) name.
pub(super) fn is_known(name: &str) -> bool {
    name.parse::<AmazonS3ConfigKey>().is_ok()
        || name.parse::<GoogleConfigKey>().is_ok()
        || name.parse::<AzureConfigKey>().is_ok()
        || name.parse::<ClientConfigKey>().is_ok()
        || OWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_to_guess_from_are_known() {
        for name in USUAL {
            assert!(is_known(name), "{name}");
        }
        assert!(!is_known("aws_regio"));
    }
}
