# ruff: noqa: RUF001  # signs of typography
"""What is said for numbers, dates, units, abbreviations and addresses, and to which words it belongs."""

import pytest

from deployments.models.kokoro.reading import read

READINGS = {
    # money
    "It costs $45.": "It costs forty five dollars.",
    "Only $4.50!": "Only four dollars and fifty cents!",
    "Just $0.99 or $1.": "Just ninety nine cents or one dollar.",
    "It is £1,250.": "It is one thousand two hundred fifty pounds.",
    "A $1.2 billion deal.": "A one point two billion dollars deal.",
    "Worth €3.5M and $1.2bn.": "Worth three point five million euros and one point two billion dollars.",
    "I owe 20 € or 15 USD.": "I owe twenty euros or fifteen US dollars.",
    "He earns $60/hr.": "He earns sixty dollars per hour.",
    "It is $5-10 or $5–$8.": "It is five to ten dollars or five to eight dollars.",
    # dates and years
    "On March 14, 2024 we met.": "On March fourteenth, twenty twenty four we met.",
    "On 2024-03-14.": "On March fourteenth, twenty twenty four.",
    "On 3/14/2024.": "On March fourteenth, twenty twenty four.",
    "On 14 March 2024.": "On the fourteenth of March, twenty twenty four.",
    "The 3rd of May.": "The third of May.",
    "Mon., Feb. 3rd": "Monday, February third",
    "Due in Jan. or Sept.": "Due in January or September.",
    "Since May 2019.": "Since May twenty nineteen.",
    "Due on 12/25.": "Due on December twenty fifth.",
    "The Sun. It rises on Sun., May 5.": "The Sun. It rises on Sunday, May fifth.",
    "In the 1990s.": "In the nineteen nineties.",
    "The '80s and 2010s.": "The eighties and twenty tens.",
    "In 1905, 1984 and 2005.": "In nineteen oh five, nineteen eighty four and two thousand five.",
    "From 1914–1918.": "From nineteen fourteen to nineteen eighteen.",
    "Built c. 1850.": "Built circa eighteen fifty.",
    "There were 1500 people.": "There were one thousand five hundred people.",
    # times
    "Meet at 5:30 pm.": "Meet at five thirty PM.",
    "Meet at 9:05 a.m. sharp.": "Meet at nine oh five AM sharp.",
    "Come at 5 p.m.": "Come at five PM.",
    "Come at 5:00.": "Come at five o'clock.",
    "It left at 17:45.": "It left at seventeen forty five.",
    # units
    "At 60 km/h.": "At sixty kilometers per hour.",
    "It is 25°C, not -5 °C.": "It is twenty five degrees Celsius, not minus five degrees Celsius.",
    "Take 5 kg or 1 lb.": "Take five kilograms or one pound.",
    "A 10-km run.": "A ten kilometer run.",
    "A 5-10 kg bag.": "A five to ten kilograms bag.",
    "It has 100 m² and 16 GB.": "It has one hundred square meters and sixteen gigabytes.",
    "It falls at 9.8 m/s².": "It falls at nine point eight meters per second squared.",
    "It grew 3.5%.": "It grew three point five percent.",
    "She is 7 yrs old.": "She is seven years old.",
    "He is 6'2\" tall.": "He is six foot two tall.",
    # numbers
    "Pi is 3.14159.": "Pi is three point one four one five nine.",
    "About 1,000,000 or .5.": "About one million or zero point five.",
    "Agent 007 and -12.": "Agent zero zero seven and minus twelve.",
    "The 21st and 100th.": "The twenty first and hundredth.",
    "3/4 of it": "three quarters of it",
    "2 1/2 miles, 1½ cups": "two and a half miles, one and a half cups",
    "pages 10–12": "pages ten to twelve",
    "They won 3-2 at 4:1.": "They won three to two at four to one.",
    "It is 2x faster.": "It is two times faster.",
    "10 - 3 = 7, 6 × 7 = 42": "ten minus three equals seven, six times seven equals forty two",
    "10%–20%, 180 lbs., 3,50": "ten to twenty percent, one hundred eighty pounds, three point five zero",
    "24/7, 9/11 and 50/50": "twenty four seven, nine eleven and fifty fifty",
    "ISBN 978-3-16": "ISBN nine seven eight, three, one six",
    "ZIP code 90210": "ZIP code nine zero two one zero",
    "10^3 + 5 = 8": "ten cubed plus five equals eight",
    "COVID-19 and 5G": "COVID-nineteen and five G",
    "Room 404, please.": "Room four oh four, please.",
    "Call 911.": "Call nine one one.",
    "Call 555-0123.": "Call five five five, zero one two three.",
    "+1 (555) 010-0123": "plus one, five five five, zero one zero, zero one two three",
    "Version 2.0.1 or v1.5.": "Version two point zero point one or version one point five.",
    # Roman numerals
    "Henry VIII and Elizabeth I.": "Henry the eighth and Elizabeth the first.",
    "World War II, Chapter IV": "World War two, Chapter four",
    "I, V and X are letters.": "I, V and X are letters.",
    # abbreviations
    "Dr. Smith lives at 5 Main St. now.": "Doctor Smith lives at five Main Street now.",
    "St. Louis, Elm St.": "Saint Louis, Elm Street.",
    "Mr. and Mrs. Jones vs. Prof. O'Neill": "Mister and Missus Jones versus Professor O'Neill",
    "E.g. R&D, A vs B": "For example R and D, A versus B",
    "Nuts, e.g. almonds, etc.": "Nuts, for example almonds, et cetera.",
    "The U.S. and J. R. Smith, Ph.D.": "The US and J R Smith, PhD.",
    "Fig. 3, No. 7, pp. 12-15": "Figure three, Number seven, pages twelve to fifteen",
    "She is #5 & he isn't.": "She is number five and he isn't.",
    # addresses
    "See https://example.com/docs?x=1.": "See example dot com slash docs question mark x equals one.",
    "Mail bob.smith@example.org!": "Mail bob dot smith at example dot org!",
    "On www.example.org/a_b": "On double u double u double u dot example dot org slash a underscore b",
    "At 192.168.0.1": "At one hundred ninety two dot one hundred sixty eight dot zero dot one",
}

pytest.importorskip("num2words")


def spoken(text: str, language: str | None = "en-us") -> str:
    return " ".join(" ".join(reading.spoken for reading in read(text, language)).split())


@pytest.mark.parametrize(("written", "said"), READINGS.items())
def test_written_text_is_read_aloud(written: str, said: str) -> None:
    assert spoken(written) == said


def test_dates_of_digits_are_read_by_the_country_of_the_voice() -> None:
    assert spoken("On 3/4/2024.", "en-us") == "On March fourth, twenty twenty four."
    assert spoken("On 3/4/2024.", "en-gb") == "On April third, twenty twenty four."


@pytest.mark.parametrize("language", ["es", "fr", None])
def test_other_languages_and_plain_text_are_spoken_as_they_are_written(language: str | None) -> None:
    assert spoken("El 3/4 cuesta $5.", language) == "El 3/4 cuesta $5."


def test_each_reading_belongs_to_the_words_that_it_reads() -> None:
    readings = read("On March 14, 2024 it cost ($45), really.", "en-us")
    assert [reading.source for reading in readings] == [
        "On",
        "March 14, 2024",
        "it",
        "cost",
        "($45),",
        "really.",
    ]
    assert readings[4].spoken == "(forty five dollars),"


@pytest.mark.parametrize(
    "written", [*READINGS, "", "  ", "¼" * 50, "1" * 400, "1/1 0/0 99/0", "€" * 20, "I. V. X."]
)
def test_no_written_word_is_lost(written: str) -> None:
    words = [word for reading in read(written, "en-us") for word in reading.source.split()]
    assert words == written.split()


@pytest.mark.parametrize(
    "unit", ["1", "1,", "1.", "1/", "1-", "a.", "a@", "http://", "$", "+1 ", "V", "'", "I "]
)
def test_long_repetitions_are_read_in_little_time(unit: str) -> None:
    assert read(unit * 4000, "en-us")
