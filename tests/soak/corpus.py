"""The text of the long recordings: prose, talk, numbers, names, and a sentence that repeats."""

PASSAGES = (
    "The river had risen during the night, and by morning the lower fields were covered with brown water. "
    "Nobody in the village could remember a flood so early in the year. The baker carried his sacks of "
    "flour to the upper floor, while his sons tied the boat to the railing of the stairs.",
    "Most people believe that a good memory is a gift, but it is mostly a matter of habit. If you repeat "
    "a name when you first hear it, you are far more likely to know it a week later. Writing it down "
    "helps even more, although the note itself is seldom read again.",
    "In 1969 the crew travelled 240,000 miles to the moon and spent 21 hours on its surface. They brought "
    "back 47 pounds of rock and dust. The last visit took place in December 1972, and no person has been "
    "there since.",
    "Good evening, this is the late news. The finance minister, Margaret Collins, met her colleague "
    "Robert Hughes in Manchester today. After four hours of talks they announced that taxes on fuel would "
    "not change before the summer. Critics called the decision careless.",
    "First, heat the oven to 180 degrees. Mix 250 grams of flour with two eggs and half a cup of sugar. "
    "Let the dough rest for 30 minutes, then roll it out and cut it into small circles. Bake them until "
    "the edges are golden.",
    "So, anyway, I told her that we would be late, and she said it was fine. Then the car broke down "
    "again. Can you believe that? We waited for almost two hours beside the road, and the only thing that "
    "passed was a tractor with a broken light.",
    "Sound travels through air as a wave of pressure. When it reaches a wall, part of it is reflected and "
    "part of it is absorbed. A large room with hard walls therefore echoes, whereas curtains and carpets "
    "make a room quiet.",
    "Thomas and Eleanor moved from Boston to Seattle when their daughter was three. Their neighbors, "
    "Samuel and Julia Parker, had come from Toronto in the same year. Every Friday the two families "
    "cooked together, and afterwards the children played in the garden.",
    "The patient is a woman of 54 years with a fever of 39 degrees. She has had a dry cough for about ten "
    "days. Her blood pressure was normal, and the heart sounded regular. We gave her antibiotics and "
    "asked her to come back on Thursday.",
    "Ladies and gentlemen, the train to Edinburgh will leave from platform 9 in about 15 minutes. Please "
    "keep your luggage with you at all times. The dining car is in the middle of the train. We apologise "
    "for the delay and wish you a pleasant journey.",
    "An old clock stood in the corner of the hall. It had belonged to my grandfather, who wound it every "
    "Sunday after breakfast. When he died, nobody remembered to wind it, and for many years its hands "
    "pointed to twenty past four.",
    "Our revenue grew by 12 percent in the third quarter, and costs fell by 3 percent. We opened 18 new "
    "stores and closed 5. For the whole year we expect a profit of 40 million dollars, which is slightly "
    "more than we promised in March.",
    "Have you ever wondered why the sky is blue? Sunlight contains every color, but the air scatters blue "
    "light much more than red. In the evening the light takes a longer way through the air. By then most "
    "of the blue is gone, and so the sunset looks red.",
    "The committee discussed three questions. Should the library stay open on Sundays? Who pays for the "
    "new roof? And what happens to the old building behind the school? There was no agreement on the last "
    "point, so the meeting will continue next Tuesday.",
    "Wolves hunt in groups and can follow a herd for days. They rarely attack healthy animals. Instead "
    "they look for the old, the young and the sick. This keeps the herd strong, and it leaves food for "
    "ravens, foxes and bears.",
    "Before you install the program, save your work and close all other windows. Click the green button, "
    "choose a folder, and wait until the bar is full. If a message appears, write down its number and "
    "call us. Do not switch off the computer.",
    "My dear Charlotte, thank you for your long letter, which arrived yesterday. The winter here has been "
    "mild, and the first flowers are already out. Uncle William asks about you every day. He hopes that "
    "you will visit us in April, as you promised.",
    "The second half began with a surprise. After only two minutes the captain stole the ball, ran past "
    "three defenders and scored. The crowd went wild. But the guests did not give up, and shortly before "
    "the end they made it 2 to 2.",
)
"""Each takes some 15 to 20 s to speak."""

REFRAIN = "Please remember to lock the door behind you."
"""A sentence that a long recording repeats."""
