"""Questions about the services agreement."""

from __future__ import annotations

from .questions import DraftQuestion, Span
from .services_agreement import STEM

# Slug, type, question, answer, and the span that proves it.
_ANSWERED = (
    (
        "initial-term",
        "definition",
        "How does the agreement define the Initial Term?",
        "The five years that begin on the Commencement Date",
        "means the five years that begin on the Commencement Date",
    ),
    (
        "commencement-date",
        "definition",
        "What is the Commencement Date of the agreement?",
        "1 May 2025",
        "Commencement Date means 1 May 2025",
    ),
    (
        "minimum-commitment",
        "extraction",
        "What is the Minimum Commitment in Charges for core Services in a Contract Year?",
        "£1,150,000",
        "in any Contract Year shall not be less than £1,150,000",
    ),
    (
        "convenience-notice",
        "clause",
        "How much written notice must the Customer give to terminate without cause after 30 April 2027?",
        "Not less than six months",
        "after 30 April 2027 by giving not less than six months' written notice",
    ),
    (
        "breach-notification",
        "clause",
        "Within how many hours must the Supplier notify the Customer of a personal data breach?",
        "24 hours",
        "within 24 hours of becoming aware of it",
    ),
    (
        "liability-cap",
        "clause",
        "What is the Supplier's general limit of liability in a Contract Year?",
        "The greater of £2,500,000 and 150 per cent of the Charges paid and payable in that Contract Year",
        "shall not exceed the greater of £2,500,000 and 150 per cent of the Charges",
    ),
    (
        "data-liability",
        "clause",
        "What is the Supplier's total liability over the whole term for the data protection indemnity and "
        "breach of Clause 8?",
        "£7,500,000",
        "the Supplier's total liability over the whole term is £7,500,000",
    ),
    (
        "late-interest",
        "extraction",
        "At what rate does interest run on sums that are paid late?",
        "3 per cent a year above the base rate of the Bank of England",
        "3 per cent a year above the base rate of the Bank of England",
    ),
    (
        "credit-limit",
        "clause",
        "What is the monthly limit on Service Credits when several Service Levels are missed?",
        "12 per cent of the core Charges for the month",
        "up to 12 per cent of the core Charges for the month",
    ),
    (
        "public-liability",
        "extraction",
        "For what minimum sum for each event must the Supplier hold public liability insurance?",
        "£10,000,000",
        "public liability insurance of at least £10,000,000 for each event",
    ),
    (
        "escrow-agent",
        "extraction",
        "With whom must the source code of the platform be deposited?",
        "Copperfield Escrow Services",
        "deposited with Copperfield Escrow Services within 60 days",
    ),
    (
        "governing-law",
        "clause",
        "Which law governs the agreement?",
        "The law of England and Wales",
        "is governed by the law of England and Wales",
    ),
    (
        "force-majeure-days",
        "clause",
        "After how many consecutive days of force majeure may the Customer terminate?",
        "More than 45 consecutive days",
        "for more than 45 consecutive days",
    ),
    (
        "architect-remote",
        "table",
        "What is the remote day rate of a solution architect?",
        "£890",
        "Solution architect £960 £890",
    ),
    (
        "breakage-fourth",
        "table",
        "What breakage sum is payable if termination takes effect in the fourth Contract Year?",
        "£385,000",
        "the fourth Contract Year £385,000",
    ),
    (
        "first-visit-serious",
        "table",
        "What Service Credit is due if first-visit repair falls below 88.0% in a month?",
        "4.0%",
        "First-visit repair 92.0% below 92.0% 1.5% below 88.0% 4.0%",
    ),
    (
        "priority-two-resolution",
        "table",
        "Within what time must a priority two incident be resolved?",
        "12 hours",
        "Priority two 1 hour 12 hours 95%",
    ),
    (
        "supplier-manager",
        "table",
        "What is the telephone number of the Supplier's contract manager?",
        "01632 960 807",
        "Dominic Farrow Contract manager Supplier 01632 960 807",
    ),
    (
        "call-recordings",
        "extraction",
        "For how long are recordings of telephone calls kept?",
        "90 days",
        "recordings of telephone calls after 90 days",
    ),
)
_UNANSWERABLE = {
    "parent-guarantee": "Which company guarantees the Supplier's duties under the agreement?",
    "tender-price": "What total price did the Supplier state in its final tender?",
    "losing-bidders": "Which other suppliers submitted a tender to the Customer?",
    "arbitration-seat": "Where is the seat of arbitration under the agreement?",
    "prompt-payment": "What discount is given for paying an invoice within ten days?",
    "drone-survey-rate": "What is the day rate for a drone survey pilot in the rate card?",
}


def agreement_questions() -> list[DraftQuestion]:
    """Return the questions about the services agreement."""
    answered = [
        DraftQuestion(f"agreement-{slug}", STEM, kind, question, answer, (Span(span),))
        for slug, kind, question, answer, span in _ANSWERED
    ]
    multiplied = DraftQuestion(
        "agreement-delay-weeks",
        STEM,
        "calculation",
        "After how many full weeks of delay in mobilisation do the liquidated damages reach their limit?",
        f"{54_000 // 4_500} weeks",
        (Span("damages of £4,500 for each full week of delay, up to a total of £54,000"),),
    )
    without = [
        DraftQuestion(f"agreement-{slug}", STEM, "unanswerable", question) for slug, question in _UNANSWERABLE.items()
    ]
    return [*answered, multiplied, *without]
