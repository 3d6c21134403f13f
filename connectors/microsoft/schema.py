"""Microsoft Advertising API v13 (REST): what is asked for, what comes back, and what its errors mean.

Sources: learn.microsoft.com/advertising/guides (reports, report-attributes-performance-statistics,
budget-bid-strategies, services-protocol, currencies, authentication-oauth-get-tokens, migrate-to-rest).
"""

from __future__ import annotations

from datetime import timedelta

from connectors.calls import QuotaLimit
from connectors.capabilities import BudgetLevel, Capabilities, ImpressionShare, MoneyUnit
from connectors.operations import Setting
from gaelp_rl.domain.channels import Channel, Device

__all__ = [
    "AD_TYPES",
    "AUTH_CODES",
    "CAPABILITIES",
    "DEVICE_CRITERIA",
    "HOUR_COLUMNS",
    "QUOTAS",
    "RATE_WAIT_S",
    "REPORT_DEVICES",
    "REPORT_ZONE",
    "SHARE_COLUMNS",
    "TIME_ZONES",
    "TOKEN_ENDPOINT",
    "UNKNOWN_CODES",
]

TOKEN_ENDPOINT = "https://login.microsoftonline.com/common/oauth2/v2.0/token"  # noqa: S105 - an address

CAPABILITIES = Capabilities(
    platform="microsoft",
    channel=Channel.MICROSOFT,
    hourly_delivery=True,
    device_split=True,
    hourly_conversions=True,
    impression_share=ImpressionShare.DAILY,
    dry_run=False,
    device_modifiers=True,
    budget_level=BudgetLevel.CAMPAIGN,
    money_unit=MoneyUnit.DECIMAL,
    batch_size={
        Setting.STATUS: 100,
        Setting.DAILY_BUDGET: 100,
        Setting.BID: 100,
        Setting.DEVICE_MODIFIER: 100,
    },
    minimum_micros={Setting.DAILY_BUDGET: 50_000, Setting.BID: 50_000},
    finality=timedelta(days=30),
    max_days_per_report=31,
    day_over_delivery=2.0,
    period_days=30.4,
    one_campaign_a_call=frozenset({Setting.BID}),
)
"""A report by hour with an impression share column is refused (error 2053): shares are read by day."""

QUOTAS = (QuotaLimit("calls a minute", 3_000, 60.0),)
"""Microsoft does not publish its limits; this is our own restraint below what it answers with 117."""

AD_TYPES = [
    "ResponsiveSearch",
    "ExpandedText",
    "DynamicSearch",
    "ResponsiveAd",
    "Product",
    "Image",
    "Text",
    "AppInstall",
]
"""All that a campaign of ours may hold."""

DEVICE_CRITERIA: dict[str, Device] = {
    "Smartphones": Device.MOBILE,
    "Computers": Device.DESKTOP,
    "Tablets": Device.TABLET,
}
"""``DeviceCriterion.DeviceName``."""

REPORT_DEVICES: dict[str, Device] = {
    "Smartphone": Device.MOBILE,
    "Computer": Device.DESKTOP,
    "Tablet": Device.TABLET,
}
"""Column ``DeviceType``; other screens count without a device."""

REPORT_ZONE = "GreenwichMeanTimeDublinEdinburghLisbonLondon"
"""Report data are in UTC whatever is sent here; it decides only which day is today."""

HOUR_COLUMNS = [
    "TimePeriod",
    "CampaignId",
    "AdId",
    "DeviceType",
    "Impressions",
    "Clicks",
    "Spend",
    "ConversionsQualified",
    "Revenue",
]
SHARE_COLUMNS = [
    "TimePeriod",
    "CampaignId",
    "Impressions",
    "ImpressionSharePercent",
    "ImpressionLostToBudgetPercent",
    "ImpressionLostToRankAggPercent",
]

RATE_WAIT_S = {117: 60.0, 207: 60.0, 4204: 900.0}
"""Call rate (a sliding minute), concurrent reports, bulk; with seconds to wait."""

AUTH_CODES = frozenset({105, 106, 109, 110, 120, 121, 122, 123})
"""Credentials, token and rights."""

UNKNOWN_CODES = frozenset({0})
"""Internal error: a write may have been applied."""

TIME_ZONES: dict[str, str] = {
    "Nukualofa": "Pacific/Tongatapu",
    "FijiKamchatkaMarshallIsland": "Pacific/Fiji",
    "AucklandWellington": "Pacific/Auckland",
    "SolomonIslandNewCaledonia": "Pacific/Guadalcanal",
    "Vladivostok": "Asia/Vladivostok",
    "Hobart": "Australia/Hobart",
    "GuamPortMoresby": "Pacific/Port_Moresby",
    "CanberraMelbourneSydney": "Australia/Sydney",
    "Brisbane": "Australia/Brisbane",
    "Darwin": "Australia/Darwin",
    "Adelaide": "Australia/Adelaide",
    "Yakutsk": "Asia/Yakutsk",
    "Seoul": "Asia/Seoul",
    "OsakaSapporoTokyo": "Asia/Tokyo",
    "Taipei": "Asia/Taipei",
    "Perth": "Australia/Perth",
    "KualaLumpurSingapore": "Asia/Singapore",
    "IrkutskUlaanBataar": "Asia/Irkutsk",
    "BeijingChongqingHongKongUrumqi": "Asia/Shanghai",
    "Krasnoyarsk": "Asia/Krasnoyarsk",
    "BangkokHanoiJakarta": "Asia/Bangkok",
    "Rangoon": "Asia/Yangon",
    "SriJayawardenepura": "Asia/Colombo",
    "AstanaDhaka": "Asia/Dhaka",
    "AlmatyNovosibirsk": "Asia/Novosibirsk",
    "Kathmandu": "Asia/Kathmandu",
    "ChennaiKolkataMumbaiNewDelhi": "Asia/Kolkata",
    "IslamabadKarachiTashkent": "Asia/Karachi",
    "Ekaterinburg": "Asia/Yekaterinburg",
    "Kabul": "Asia/Kabul",
    "BakuTbilisiYerevan": "Asia/Baku",
    "AbuDhabiMuscat": "Asia/Dubai",
    "Tehran": "Asia/Tehran",
    "Nairobi": "Africa/Nairobi",
    "MoscowStPetersburgVolgograd": "Europe/Moscow",
    "KuwaitRiyadh": "Asia/Riyadh",
    "Baghdad": "Asia/Baghdad",
    "Jerusalem": "Asia/Jerusalem",
    "HelsinkiKyivRigaSofiaTallinnVilnius": "Europe/Helsinki",
    "HararePretoria": "Africa/Johannesburg",
    "Cairo": "Africa/Cairo",
    "Bucharest": "Europe/Bucharest",
    "AthensBuckarestIstanbul": "Europe/Athens",
    "WestCentralAfrica": "Africa/Lagos",
    "SarajevoSkopjeWarsawZagreb": "Europe/Warsaw",
    "BrusselsCopenhagenMadridParis": "Europe/Paris",
    "BelgradeBratislavaBudapestLjubljanaPrague": "Europe/Budapest",
    "AmsterdamBerlinBernRomeStockholmVienna": "Europe/Berlin",
    "CasablancaMonrovia": "Africa/Monrovia",
    "GreenwichMeanTimeDublinEdinburghLisbonLondon": "Europe/London",
    "Azores": "Atlantic/Azores",
    "CapeVerdeIsland": "Atlantic/Cape_Verde",
    "MidAtlantic": "Atlantic/South_Georgia",
    "Brasilia": "America/Sao_Paulo",
    "BuenosAiresGeorgetown": "America/Argentina/Buenos_Aires",
    "Greenland": "America/Nuuk",
    "Newfoundland": "America/St_Johns",
    "AtlanticTimeCanada": "America/Halifax",
    "CaracasLaPaz": "America/Caracas",
    "Santiago": "America/Santiago",
    "BogotaLimaQuito": "America/Bogota",
    "EasternTimeUSCanada": "America/New_York",
    "IndianaEast": "America/Indiana/Indianapolis",
    "CentralAmerica": "America/Guatemala",
    "CentralTimeUSCanada": "America/Chicago",
    "GuadalajaraMexicoCityMonterrey": "America/Mexico_City",
    "Saskatchewan": "America/Regina",
    "Arizona": "America/Phoenix",
    "ChihuahuaLaPazMazatlan": "America/Mazatlan",
    "MountainTimeUSCanada": "America/Denver",
    "PacificTimeUSCanadaTijuana": "America/Los_Angeles",
    "Alaska": "America/Anchorage",
    "Hawaii": "Pacific/Honolulu",
    "MidwayIslandAndSamoa": "Pacific/Pago_Pago",
}
"""``TimeZoneType`` to the zone of one of its cities (IANA)."""
