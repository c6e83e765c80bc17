"""The master services agreement between Brackenfield Utilities and Pellworth Data Services."""

from __future__ import annotations

from pathlib import Path

from .layout import Row, Style, Table
from .markup import write_document

STEM = "services_agreement"
PARTS = ("agreement_1_terms.md", "agreement_2_terms.md", "agreement_3_schedules.md")


def _table(
    title: str,
    heading: str,
    columns: tuple[str, ...],
    widths: tuple[float, ...],
    *lines: tuple[str, ...],
) -> Table:
    rows = tuple(Row(label, tuple(cells)) for label, *cells in lines)
    return Table(title, columns, rows, widths=widths, label_heading=heading)


def agreement_tables() -> dict[str, Table]:
    """Return the tables of the schedules by the name under which the text places them."""
    return {
        "services": _table(
            "Reading intervals and storage",
            "Meter class",
            ("Reading interval", "Kept online", "Meters at signature"),
            (38, 32, 38),
            ("Domestic", "60 minutes", "25 months", "286,400"),
            ("Small commercial", "30 minutes", "25 months", "31,750"),
            ("Large commercial", "15 minutes", "37 months", "4,620"),
            ("District bulk meter", "5 minutes", "61 months", "1,180"),
        ),
        "mobilisation": _table(
            "Mobilisation plan",
            "Task",
            ("Due date", "Acceptance"),
            (32, 62),
            ("Kick-off and mobilisation plan", "24 March 2025", "Signed by contract managers"),
            ("Site surveys of 148 masts", "9 April 2025", "Survey file for each site"),
            ("Interface to billing system", "16 April 2025", "Ten days of error-free transfer"),
            ("Installation of 412 gateways", "25 April 2025", "Coverage of 96 per cent"),
            ("Operational readiness review", "28 April 2025", "Decision of Operations Board"),
        ),
        "volume_rates": _table(
            "Monthly fee for each Meter in service, and visit fees",
            "Item",
            ("Band or unit", "Rate"),
            (62, 26),
            ("Meter reading, band 1", "up to 250,000 Meters", "£0.39"),
            ("Meter reading, band 2", "250,001 to 350,000 Meters", "£0.36"),
            ("Meter reading, band 3", "above 350,000 Meters", "£0.32"),
            ("Bulk-meter reading", "each bulk Meter", "£4.85"),
            ("Field visit, planned", "each completed visit", "£46.50"),
            ("Field visit, urgent", "each, within 24 hours", "£79.00"),
            ("Meter exchange", "15 to 25 mm, labour only", "£63.25"),
            ("Meter exchange, large", "40 mm and above, labour only", "£148.00"),
            ("Gateway repair", "each gateway", "£212.00"),
        ),
        "rate_card": _table(
            "Day rates",
            "Role",
            ("On site", "Remote"),
            (30, 30),
            ("Programme director", "£1,140", "£1,065"),
            ("Solution architect", "£960", "£890"),
            ("Project manager", "£815", "£760"),
            ("Data scientist", "£840", "£785"),
            ("Software engineer", "£725", "£680"),
            ("Test analyst", "£590", "£545"),
            ("Field engineer", "£465", "-"),
        ),
        "breakage": _table(
            "Breakage sum under Clause 15.1",
            "Termination takes effect in",
            ("Breakage sum",),
            (36,),
            ("the third Contract Year", "£620,000"),
            ("the fourth Contract Year", "£385,000"),
            ("the fifth Contract Year", "£140,000"),
            ("an extension", "none"),
        ),
        "service_levels": _table(
            "Service Levels and Service Credits",
            "Service Level",
            ("Target", "Minor miss", "Credit", "Serious miss", "Credit"),
            (24, 26, 16, 26, 16),
            ("Platform availability", "99.5%", "below 99.5%", "2.0%", "below 98.5%", "5.0%"),
            ("Daily readings delivered", "98.0%", "below 98.0%", "2.5%", "below 96.0%", "6.0%"),
            ("Billing file on time", "99.0%", "below 99.0%", "1.0%", "below 97.0%", "3.0%"),
            ("First-visit repair", "92.0%", "below 92.0%", "1.5%", "below 88.0%", "4.0%"),
            ("Appointments kept", "97.0%", "below 97.0%", "1.0%", "below 94.0%", "2.5%"),
            ("Calls answered in 40 s", "85.0%", "below 85.0%", "0.5%", "below 75.0%", "1.5%"),
            ("Data accuracy", "99.9%", "below 99.9%", "2.0%", "below 99.5%", "5.0%"),
        ),
        "incidents": _table(
            "Incident response and resolution",
            "Priority",
            ("Response", "Resolution", "Target met"),
            (38, 42, 26),
            ("Priority one", "20 minutes", "4 hours", "95%"),
            ("Priority two", "1 hour", "12 hours", "95%"),
            ("Priority three", "4 working hours", "3 Business Days", "90%"),
            ("Priority four", "1 Business Day", "15 Business Days", "90%"),
        ),
        "sub_processors": _table(
            "Sub-processors",
            "Name",
            ("Purpose", "Place"),
            (62, 32),
            ("Cairnwell Hosting Limited", "Primary data centre", "Slough"),
            ("Stravaig Cloud Limited", "Backup data centre", "Livingston"),
            ("Bluebell Messaging Limited", "Appointment text messages", "Cardiff"),
        ),
        "contacts": _table(
            "Contacts and Key Personnel",
            "Name",
            ("Role", "Party", "Telephone"),
            (54, 28, 34),
            ("Yasmin Oduya", "Contract manager", "Customer", "01632 960 141"),
            ("Callum Strand", "Head of network data", "Customer", "01632 960 158"),
            ("Petra Lindqvist", "Finance director", "Customer", "01632 960 162"),
            ("Dominic Farrow", "Contract manager", "Supplier", "01632 960 807"),
            ("Shreya Balan", "Service delivery lead", "Supplier", "01632 960 815"),
            ("Tobias Renn", "Chief architect", "Supplier", "01632 960 829"),
            ("Gwen Achterberg", "Field operations manager", "Supplier", "01632 960 833"),
        ),
    }


def write_services_agreement(path: Path) -> None:
    """Write the agreement as a PDF."""
    style = Style(
        title="Master Services Agreement",
        running_header="Brackenfield Utilities Limited / Pellworth Data Services Limited - Master Services Agreement",
        author="Brackenfield Utilities Limited",
        section_needs_mm=38.0,
    )
    cover = (
        "Brackenfield Utilities Limited",
        "and",
        "Pellworth Data Services Limited",
        "Meter reading, meter data and field maintenance services",
        "Dated 17 March 2025",
        "This is a specimen document. The parties, people and sums in it are invented, and any "
        "resemblance to real ones is accidental.",
    )
    write_document(path, style, cover, PARTS, {}, agreement_tables())
